"""What the machine says when something is wrong: whole sentences for people, no tracebacks."""

from __future__ import annotations


class ReconError(Exception):
    """A problem a user can act on: one or two sentences saying what is wrong, where, and what would help."""


class MachineFileError(ReconError):
    """A machine description that is missing, malformed or contradicts itself."""


class ProgramError(ReconError):
    """A program file that is foreign, truncated, damaged or made for another machine."""


class EncodingError(ReconError):
    """A field value that its instruction cannot hold, or bytes that are no instruction."""


class Fault(ReconError):
    """The simulated machine stopped: the program did what the manual forbids."""
