"""Every number that tunes the planner: what no law of the machine decides, each with its unit and what it stands on.

Sizes are three, a half, one, five and six configuration images of edge4k, and blocks at most a part of SRAM. Counted in
images of the machine they were -0.11 % over nine plans (edge1k -0.60 % at best): that is to be had.

All are measured: ``python benchmarks/tuning.py NAME=VALUE …`` plans networks with other values and prints how
much slower they are than with the value here, in the geometric mean and at worst; the figures below are those it gave
(0.00 %: no plan of them needs another value). ``Measured crowded`` is of networks whose activations crowd SRAM
(``--crowded``), ``large`` of large ones (``--large``), ``tight`` of networks of which neither weights nor maps fit
(``--tight``), ``with frames`` of frames in a row (``--frames``).
"""

from __future__ import annotations

from sim.machine.description import Machine

# ------------------------------------------------------------------------------------------- sizes: in images of edge4k

IMAGE = 16 * 1024
"""Bytes in which sizes are counted: a configuration image of edge4k.

Measured over nine plans on edge4k and edge1k, all sizes at once: a quarter -0.11 %, at worst +0.10 %. Of the sizes
alone only the least piece of a load tells: at twice +0.08 %, at worst +0.50 %."""

SHARE = 8
"""The part of SRAM, one over it, that a block of weights, or a room of several, takes at most.

Measured: 4 +0.00 %; 16 +0.00 %."""


def piece_bytes() -> int:
    """A load of weights moves about this many bytes at most: an image behind it waits as long as three images take."""
    return 3 * IMAGE


def least_piece_bytes() -> int:
    """And at least so many, of whole blocks, where there are more: half an image, so that latency and the channel's
    turns stay small beside it, and a fill can begin as soon as its own block is there."""
    return IMAGE // 2


def first_rows_bytes() -> int:
    """Bytes of an input that come in one load at least, an image's: the array starts with the first of them."""
    return IMAGE


def block_bytes(machine: Machine) -> int:
    """About the most bytes of weights in a block, five images, so that work starts while the next ones still arrive."""
    return min(5 * IMAGE, machine.sram.bytes // SHARE)


MOST_BLOCKS = 256
"""Blocks of a layer about, whatever ``block_bytes`` says: every one is an instruction for each image of a batch.

Measured: 128 +0.00 %; 512 +0.00 % (VGG-19 alone has layers so large)."""


def chunk_bytes(machine: Machine) -> int:
    """About the most bytes of weights in a room of several blocks, six images: small enough to leave early."""
    return min(6 * IMAGE, machine.sram.bytes // SHARE)


def weights_bytes(machine: Machine) -> int:
    """About the most bytes of weights that one fill may read: two of them leave half of SRAM to activations."""
    return machine.sram.bytes // 4


# ------------------------------------------------------------------------------------------ tiles of works that overlap

TILE_CYCLES = 1200
"""Cycles: a layer that should overlap with another engine is cut into tiles of about this length.

Measured: 600 +0.00 %, at worst +0.01 %; 2400 +0.00 %."""

MAX_TILES = 8
"""And into at most so many.

Measured: 4 -0.02 %, at worst +0.00 %; 16 +0.00 %."""

# ---------------------------------------------------------------------------------------- configurations of a network

NEAR = 1.25
"""A path that is measured to cost so many times the cheapest one is no candidate: over the benchmark networks on edge4k
and edge1k the plan of a path is within 15 % of what the measure says of it beside the plan of the cheapest.

Measured: 1.1 +0.00 %; 1.5 +0.00 %."""

FAVOURITES = (4, 16, 0)
"""Best configurations of each layer that enter a path, one path for each number (0: all). Few find the path that each
layer likes best, all find the one that is good for everybody and the best of none.

Measured: 4 alone +0.29 %, at worst +1.15 %; 16 alone +0.02 %, at worst +0.07 %; 2, 4, 8, 16 and all -0.06 %, at worst
+0.00 %."""

PROMISING = 6
"""Configurations that are weighed exactly when one is to be added to a path.

Measured: 3 +0.00 %; 12 +0.00 %."""

MOST = 24
"""Configurations of a path in the end, at most.

Measured: 12 +0.00 %; 48 +0.00 %."""

SHARPNESS = 12.0
"""Exponent of the soft maximum of array and channel time by which a path is measured.

Measured: 6 +0.30 %, at worst +1.19 %; 24 +0.39 %, at worst +1.58 %."""

FRAME_SHARPNESS = 6.0
"""The same where frames follow each other.

Measured with frames: 3 +0.26 %, at worst +0.79 %; 12 +3.09 %, at worst +9.55 %."""

# ------------------------------------------------------------------------------------------------ order of branches

GAIN = 0.005
"""A branch moves only for at least this part of all cycles.

Measured: 0 +0.00 %; 0.02 +0.00 %; and crowded the same."""

PLACES = 12
"""Positions tried for a branch, evenly over those it may take.

Measured: 6 +0.00 %; 24 +0.00 %."""

ROUNDS = 4
"""Times all branches are tried.

Measured: 2 +0.00 %; 8 +0.00 %."""

LEAST = 8
"""However large activations are, they are worked on in stripes and leave this part of SRAM (one over it) to weights.

Measured: 4 +0.00 %; 16 +0.00 %; and crowded the same."""

IDLE = 8
"""A tensor that waits for so many layers waits long.

Measured: 4 +0.00 %; 16 +0.00 %; and crowded the same."""

# ----------------------------------------------------------------------------------------------- groups and stripes

STRIPES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of stripes that are tried.

Measured crowded: powers of two alone +0.00 %; 8 at most +0.00 %."""

LONGEST = 28
"""Most layers of a group.

Measured crowded: 14 +0.00 %; 56 +0.00 %."""

MOST_SKIPS = 3
"""Sets of long skips that are tried in DRAM.

Measured crowded: 1 +0.00 %; 6 +0.00 %."""

MOST_OPENING = 6
"""Layers that may be fused to hide the arrival of the inputs.

Measured crowded: 3 +0.00 %; 12 +0.00 %."""

OPENING_GAIN = 100
"""Cycles that must be hidden to be worth the instructions.

Measured crowded: 0 +0.00 %; 300 +0.00 %."""

# --------------------------------------------------------------------------------- turns of groups, weights that stream

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Numbers of stripes, strips and parts that are tried.

Measured tight: powers of two alone +2.30 %, at worst +7.05 %, at best +0.00 %."""

MOST_STRIPS = 8
"""Strips of a group of several layers at most: each computes its edges again.

Measured tight: 4 +0.00 %; 16 +0.00 %."""

FIRST_STRIPES = 1
"""Numbers of stripes that are weighed for a group, from the fewest that fit on.

Measured tight: 2 +2.59 %, at worst +7.97 %; 6 +2.59 %, at worst +7.97 %."""

SHORTER = 0.125
"""Part of the shorter of compute and channel that counts: prefetch across groups hides most of it.

Measured tight: 0 +0.00 %; 0.25 +0.00 %."""

HOPELESS = 3
"""Groups in a row, each a layer longer than the one before, that do not fit in any way: nor do longer ones.

Measured tight: 1 +0.00 %; 8 +0.00 %."""

TIGHT_BUDGETS = (85, 100, 60)
"""Per cent of SRAM for groups that turn over strips and parts: the next only if the plan of the one before fails.

Measured tight: 85 alone +0.00 %; 60, 85, 100 +9.96 %, at worst +32.96 %."""

LEAN = 16
"""Images are not kept in SRAM if one takes more than this part (one over it) of it.

Measured tight: 8 +0.00 %; 32 +0.00 %."""

# ------------------------------------------------------------------------------------------------- choice of the plan

ROOMY = 35
"""Per cent of SRAM: activations that never take more leave enough for prefetch, and only first layers are fused.

Measured crowded: 20 +0.00 %; 50 +0.00 %."""

BUDGETS = (85, 70, 55, 100)
"""Per cent of SRAM that activations and the weights of fused layers may take, tried in turn.

Measured crowded: 85 alone +0.00 %, at worst +0.01 %; 70, 85, 100, 55 +0.00 %."""

FRAME_BUDGETS = (85, 55, 35)
"""The same where frames follow each other and what activations leave holds weights that stay.

Measured with frames: 85 alone +3.22 %, at worst +9.97 %; 70, 50, 35 +0.00 %."""

PATIENCE = 3
"""Shares in a row that are no better, after which no smaller ones are tried.

Measured with frames: 1 +0.00 %; 6 +0.00 %."""

WORTH = 15
"""Thousandths that more frames together must save to be worth their latency, their memory and a look at still more.

Measured with frames: 5 +0.00 %; 45 +0.00 %."""

IMAGES = (1, 2, 4)
"""Frames that are tried together where nobody says how many: they share what comes from DRAM, and while one waits for
the vector unit another multiplies.

Measured with frames: 1 alone +10.81 %, at worst +26.09 %; 1 and 2 +3.96 %, at worst +8.26 %."""

STAGE_BUDGETS = (85, 60)
"""Per cent of SRAM that the images of a batch and the weights of a stage may take: the next only if the plan of the one
before fails.

Measured with frames: 60 alone +24.49 %, at worst +92.92 %; 85 alone +0.00 %."""

HORIZONS = (64, 12, 2)
"""Works by which a load may be ahead of its need, tried in turn behind any number: far prefetch can leave SRAM in
pieces, then a nearer one may fit.

Measured crowded: 64 alone +0.00 %; 12 and 2 +0.00 %."""

DOUBT = 30
"""Thousandths by which other groups must be faster: the plan's clock does not see every wait inside a ring buffer, and
the simpler partition is tried first.

Measured crowded: 0 -0.01 %, at worst +0.00 %; 60 +0.00 %.
DenseNet-121 within 2 MiB: 0 +9.60 %; 60 +0.00 %."""

OPENING_DOUBT = 1
"""Thousandths by which a plan must be faster for stripes at the network's start.

Measured crowded: 0 +0.00 %; 4 +0.00 %."""

SKIP_DOUBT = 3
"""Thousandths by which a plan must be faster for long skips in DRAM.

Measured crowded: 0 +0.00 %; 6 +0.00 %."""

MOST_WORKS = 1500
"""No more plans are made to choose configurations once those made have so many works: it should not cost more than a
tenth of the time that a network takes to compile.

Measured large: 500 +0.04 %, at worst +0.23 %; 3000 +0.00 %."""

MOST_WEIGHED = 8
"""Plans whose programs are written out to compare them.

Measured: 4 +0.00 %; 16 +0.00 %."""

WEIGHED_WORKS = 600
"""Works that these have in all, at most.

Measured: 300 +0.02 %, at worst +0.06 %; 1200 -0.00 %, at best -0.02 %."""

CLOSE = 15
"""Thousandths by which a plan may seem slower and still be the faster one: see ``pace``.

Measured large: 5 +0.00 %; 40 +0.00 %."""

TINY = 60
"""A plan of so many works costs next to nothing to make and to weigh: all are that seem slower by TINY_CLOSE at most.

Measured over nine plans of ShuffleNet, SqueezeNet, Inception v1, MobileNetV2 and the trained models on edge4k: 30
+0.00 %; 120 +0.00 %, in 1.2 of the time."""

FEW = 15
"""Layers of a network whose plans are all made and weighed, however many works they have.

Measured tight: 0 +0.00 %; 30 +0.00 %. Of 300 random networks 0 leaves one whose plan is beaten, by 2 %."""

TINY_CLOSE = 150
"""Thousandths, of tiny plans.

Measured over nine plans of ShuffleNet, SqueezeNet, Inception v1, MobileNetV2 and the trained models on edge4k: 60
+0.00 %; 300 +0.00 %."""

MOST_TAPERED = 2
"""Last convolutions of a network whose weights may come in smaller and smaller blocks.

Measured: 1 +0.13 %, at worst +0.51 %; 4 +0.00 %."""

TAPERS = (1, 4)
"""Parts of the outputs that the array makes at once in the smallest of these blocks.

Measured: 1 alone +0.01 %, at worst +0.04 %."""

# ------------------------------------------------------------------------------------------------- frames in a row

FRAME_SHARES = (100, 92, 84, 76, 66, 56, 46, 36, 26, 16, 8, 0)
"""Per cent of the SRAM that activations leave at their peak: what may stay, tried in turn.

Measured with frames: 100, 76, 46, 16, 0 +0.12 %, at worst +0.35 %; 100 and 0 +3.27 %, at worst +10.15 %."""
