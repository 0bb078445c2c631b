"""A second timing model of the machine, written from the manual alone, to be compared with the simulator's clock.

``clock`` shares no code with the simulator's engines: it steps one cycle at a time and counts blocks, columns, granules
and bursts one by one. ``random_programs`` makes legal programs for the comparison, ``compare`` runs both models.
"""
