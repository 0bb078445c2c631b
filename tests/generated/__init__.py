"""Quantised models made at random, on machines made at random, against the integer oracle: see ``__main__``."""
