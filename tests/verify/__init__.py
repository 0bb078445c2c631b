"""Everything that can be checked, checked: ``python -m tests.verify`` runs it and prints one table.

``checks`` holds the parts, each of which counts what it tried and names what failed; ``fingerprint`` is the process
that the determinism check starts in different surroundings.
"""
