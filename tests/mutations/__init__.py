"""Good programs broken on purpose: does the proof find it, does the sanitizer, and do they ever accuse a good one?

``small_programs`` makes good programs of at most twenty instructions with the real lowering, ``mutate`` breaks them in
one place, ``interleavings`` decides by trying every legal order what that does, and ``table`` compares the verdicts.
"""
