"""The machine: its book (description, instructions, laws of time) and the machine in motion.

Nothing here knows of xDSL or of the compiler: a program file and a machine description are all it reads.
"""
