"""The planner: from a network of cnn layers to the text of a plan, by the machine's own laws.

Every stage takes values and makes a value; nothing that is made is changed later. In the order in which data passes:

* the problem: ``network`` (what is to be computed, and which tensors share memory);
* how it is run: ``mapping`` (one convolution's loop nest and configuration), ``candidates`` (what each configuration
  would cost it), ``configure`` (one mapping per convolution, over the whole network), ``order``, ``partition`` and
  ``stripes`` (which layers run together row by row, and what waits in DRAM);
* what it costs: ``cost`` is the one place where the planner asks the machine's laws;
* the plan: ``schedule`` (every layer as ``works``, with ``conv_works``, ``vector_works``, ``layer_constants``,
  ``images``, ``rooms`` and their ``lives``), ``prefetch`` with ``pace`` and ``space`` (a layout of a schedule: when
  each load comes, and where rooms lie), ``search`` (which of several plans is best), ``spell`` (the plan as tile IR).
"""
