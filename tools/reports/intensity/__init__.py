"""The founding chart: every convolution of several models by its operations per byte, and the shapes they share."""
