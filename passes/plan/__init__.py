"""The planner: from a network of cnn layers to the text of a plan, by the machine's own laws.

Files in the order in which data passes through them: ``network`` (what is to be computed and which tensors share
memory), ``candidates`` (what each configuration would cost each layer), ``configure`` (one configuration per layer, over
the whole network), ``blocks`` (a layer as fills and passes), ``schedule`` (order, tiles, residency), ``prefetch``
(when each constant is loaded), ``spell`` (the plan as tile IR).
"""
