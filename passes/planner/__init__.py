"""The planner: from a network of cnn layers to the text of a plan, by the machine's own laws.

Files in the order in which data passes through them: ``network`` (what is to be computed and which tensors
share memory), ``candidates`` (what each configuration would cost each layer), ``configure`` (one configuration per
layer, over the whole network), ``partition`` and ``stripes`` (which layers run together, row by row), ``schedule`` and
``blocks`` (every layer as fills, passes and tiles), ``prefetch`` with ``pace`` and ``space`` (when each constant is
loaded, and where to), ``search`` (which of several plans is best), ``spell`` (the plan as tile IR).
"""
