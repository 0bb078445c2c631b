"""Which machine to build: many machines × models × options, each point compiled and timed, and what they teach.

``space`` says which points there are, ``frontend`` brings a model to the ``cnn`` level once, ``point`` is the pure
function from a point to its row, ``store`` keeps rows, ``engine`` spreads the work with Dask, ``search`` walks the
space with Optuna, ``findings`` and ``page`` say what the rows mean. ``area`` estimates what a machine takes.
"""
