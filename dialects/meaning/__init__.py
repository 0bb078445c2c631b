"""Reference meanings: numpy interpreters of the dialects, sharing no code with the lowerings below them."""
