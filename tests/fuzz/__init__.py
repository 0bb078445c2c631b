"""What is read from outside, with bytes that nobody wrote: refused in a sentence of ours, or taken; nothing else.

``readers`` names everything that reads a file, each as one function from bytes; ``judging`` says how such a function
may end. ``corpus`` holds inputs per reader: what reaches most of its code, and what once went wrong; the tests judge
every one of them. ``python -m tests.fuzz`` (``make fuzz``) makes new ones, guided by the code that they reach.
"""
