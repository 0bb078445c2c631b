"""The book of the machine: descriptions, instructions and their encoding, programs, ordering, the laws of time.

What a program is and costs, whatever values flow; every floor may read it. The machine in motion stands beside it.
"""
