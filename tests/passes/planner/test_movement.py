"""Movements: pieces that write every element once, and plans that move what the network says, on any machine."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import VerifyException

from dialects import cnn
from dialects.meaning.cnn import apply
from dialects.meaning.steps import MeaningError
from dialects.meaning.tile import evaluate as evaluate_plan
from passes.planner.movement import COLUMN, MOVES, Piece, pieces, progressions
from sim.machine.errors import ReconError
from tests.passes.planner.moving import moving_net
from tests.passes.planner.support import check_everywhere, planned, random_machine, write_machine
from tests.passes.planner.test_random_networks import REFUSALS
from tests.passes.tile_to_accel.support import parse


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_progressions_hold_every_index_once(indices: list[int]) -> None:
    made: dict[int, int] = {}
    for part in progressions(tuple(indices)):
        for turn in range(part.count):
            position = part.at + turn * part.step
            assert position not in made
            made[position] = part.first + turn * part.by
    assert [made[position] for position in range(len(indices))] == indices


def test_progressions_of_enlargements_are_few() -> None:
    """A doubled axis is two of them, a factor of three halves three."""
    assert len(progressions(tuple(i // 2 for i in range(112)))) == 2
    assert len(progressions(tuple(i * 2 // 3 for i in range(111)))) == 3


def moved(part: Piece, source: np.ndarray, target: np.ndarray, counted: np.ndarray) -> None:
    """Carry a piece out element by element."""
    for outer in range(part.sizes[0]):
        for middle in range(part.sizes[1]):
            single = part.part(0, outer, 1).part(1, middle, 1)
            (y, x, c), (v, u, d), run = single.write, single.read, part.sizes[2]
            target[y, x, c : c + run] = source[v, u, d : d + run]
            counted[y, x, c : c + run] += 1


def movements(module: ModuleOp) -> list[cnn.CnnOp]:
    return [op for op in module.walk() if isinstance(op, MOVES)]


@pytest.mark.parametrize("seed", range(12))
def test_pieces_write_every_element_once(seed: int) -> None:
    """Cut by rows and split for rings as well, they make what the operation means."""
    dice = random.Random(seed)
    for op in movements(moving_net(seed)):
        operands = [
            np.random.default_rng(seed).integers(-128, 128, cnn.tensor_of(v).dims, np.int8) for v in op.operands
        ]
        wanted = apply(op, operands)[0]
        made, counted = np.zeros_like(wanted), np.zeros(wanted.shape, np.int64)
        cuts = sorted({0, wanted.shape[0], dice.randint(0, wanted.shape[0])})
        for begin, stop in itertools.pairwise(cuts):
            for whole in pieces(op):
                middle = dice.randint(0, wanted.shape[1])
                for left, right in ((0, middle), (middle, wanted.shape[1])):
                    boxed = [box for part in whole.between(begin, stop) for box in part.between(left, right, COLUMN)]
                    for small in (s for box in boxed for s in box.singly(dice.random() < 0.5, dice.random() < 0.5)):
                        moved(small, operands[small.source][0], made, counted)
        np.testing.assert_array_equal(made, wanted)
        assert (counted == 1).all()


@pytest.mark.parametrize("seed", range(25))
def test_a_plan_moves_what_the_network_says(seed: int, tmp_path: Path) -> None:
    module = moving_net(seed)
    small = random.Random(seed).random() < 0.7
    try:
        plan = planned(module, write_machine(random_machine(seed), tmp_path) if small else "edge1k")
    except ReconError as error:
        refused = str(error)
    else:
        check_everywhere(module, plan, seed)
        return
    assert any(re.fullmatch(pattern, refused) for pattern in REFUSALS), refused


TEXT = """
tile.schedule @main machine "edge4k" (%in: !tile.dram<4x4x8xi8>) -> (%out: !tile.dram<4x4x8xi8>) {{
  %x = tile.alloc : !tile.sram<4x4x8xi8, ring 2>
  %y = tile.alloc : !tile.sram<4x4x8xi8>
  tile.load %x[0, 0, 0] [2, 4, 8] from %in[0, 0, 0]
  tile.move {}
  tile.store %out[0, 0, 0] [4, 4, 8] from %y[0, 0, 0]
}}"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%y[0, 0, 0] by row 1, column 1 = %x[1, 0, 0] by row 1, column 1 sizes [2, 4, 8] layer @m",
         "tile.move of layer m: it reads row 2 of %x, whose slot holds row 0"),
        ("%x[0, 0, 0] by row 1, column 1 = %y[0, 0, 0] by row 1, column 1 sizes [2, 4, 8]",
         "tile.move: it reads row 0 of %y, which nothing has written"),
    ],
)  # fmt: skip
def test_what_a_walk_cannot_read(text: str, message: str) -> None:
    with pytest.raises(MeaningError) as caught:
        evaluate_plan(parse(TEXT.format(text)), {"in": np.zeros((4, 4, 8), np.int8)})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%y[0, 0, 0] by row 1, column 1 = %x[0, 0, 0] by row 1, column 2 sizes [2, 4, 8]",
         "input: column 0 to 6 leave !tile.sram<4x4x8xi8, ring 2>"),
        ("%y[0, 0, 0] by row 0, column 1 = %x[0, 0, 0] by row 1, column 1 sizes [2, 4, 8]",
         "output: a move writes every element once, so its steps are at least 1"),
        ("%y[0, 0, 0] by row 1, column 1 = %x[0, 0, 0] by row 1, column 1 sizes [2, 4]",
         "a move has three sizes, each at least 1"),
    ],
)  # fmt: skip
def test_what_a_walk_cannot_be(text: str, message: str) -> None:
    with pytest.raises(VerifyException) as caught:
        parse(TEXT.format(text))
    assert message in str(caught.value)
