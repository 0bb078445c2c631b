"""The proof on encoded programs: what instructions touch, how they are ordered, what the machine allows.

It knows the book of the machine alone, so that no pass can lend it a mistake.
"""
