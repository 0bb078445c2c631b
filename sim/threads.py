"""One thread for matrix products while a program runs.

A pass of a convolution is a product of a few megabytes, so a BLAS library that shares it out among cores gains nothing
(ResNet-50 in 0.6 s with one thread, 0.6 to 1.0 s with two on two idle cores) and its threads spin while they wait for
the next: on a busy computer the same run took 8 s, and 4 s of CPU.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Generator[None]:
    """Within it, numpy's matrix products run on the caller's thread alone; afterwards as before."""
    from threadpoolctl import threadpool_limits  # a run of the clock alone starts without it

    with threadpool_limits(limits=1, user_api="blas"):
        yield
