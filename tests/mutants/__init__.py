"""Our own source with one thing changed: the tests of its area must notice.

``python -m tests.mutants`` (``make mutants``) draws mutants of each area's modules, made by mutmut, and runs the area's
tests on each, in a process that has one mutated module and everything else as it is. ``equivalent`` lists mutants that
no test can kill, each with the reason.
"""
