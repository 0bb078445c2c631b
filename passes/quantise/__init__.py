"""Quantisers put into float graphs: the pass ``assume_int8``; ``places`` where they have to stand, ``calibrate`` what
is seen there.
"""
