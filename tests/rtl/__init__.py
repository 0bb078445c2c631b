"""The machine in RTL (``rtl/``) against the simulator: bytes in SRAM and DRAM, and the cycle of every start and end.

``cases`` makes the programs, ``compare`` judges them, ``python -m tests.rtl`` tries them all (``make rtl``), and
``test_rtl`` a part of them.
"""
