"""Harmful mutants are found and good programs are not accused; and the judge of both is itself judged."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest

from passes.accel.check_hazards import check_program
from sim.engine import Engine
from sim.machine import assembly, encoding
from sim.machine.operations import NAMES
from sim.machine.program import MachineSegment, Program, Region
from sim.memory import Box, Memory
from tests.mutations import __main__ as command
from tests.mutations.interleavings import Case, Harm, judge, outcomes, run_once, touches
from tests.mutations.mutate import KINDS
from tests.mutations.small_programs import LONGEST, plan_text, small_program
from tests.mutations.table import ENOUGH, Good, changed, compare
from tests.sim.support import image, params, program


def test_a_short_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--mutants", "140", "--seed", "7"]) == 0
    printed = capsys.readouterr().out
    assert "0 accused; 140 mutants, 0 missed, 0 accused without cause" in printed
    assert all(f"| {kind} | 10 | " in printed for kind in KINDS)


def test_the_same_seed_gives_the_same_table() -> None:
    assert str(compare(14, 3)) == str(compare(14, 3))


def test_small_programs_hold_everything_there_is() -> None:
    made = [small_program(seed) for seed in range(40)]
    streams = [encoding.decode(one.segment.code) for one in made]
    assert max(map(len, streams)) <= LONGEST
    lines = [assembly.line(name, fields) for stream in streams for name, fields in stream.records()]
    signs = ["load ", "store ", "load_config address", "load_config space=1", "configure", "fill half=1", "residual"]
    for sign in (*signs, "has_table", "ring=", "algorithm=winograd"):
        assert any(sign in line for line in lines), sign
    convs = [line for line in lines if line.startswith("conv")]
    assert any("last=1" not in line for line in convs)
    assert any("first=1" not in line for line in convs)
    assert sum(line.startswith("configure") for line in lines) > len(made) / 3
    assert any("tile.dram :" in one.plan for one in made)


def test_small_programs_draw_every_operation() -> None:
    drawn = {kind for seed in range(200) for kind in re.findall(r"tile\.vector (\w+)", plan_text(seed))}
    assert drawn == set(NAMES)


def broken(good: Good, dice: random.Random) -> list[tuple[Program, MachineSegment]]:
    """A few mutants of a program."""
    found = [KINDS[kind](good.records, dice) for kind in dice.sample(sorted(KINDS), 6)]
    return [changed(good.made, records) for records in found if records is not None]


def test_executing_every_interleaving_confirms_the_reduction() -> None:
    """Where no two concurrent instructions meet, all interleavings have one outcome: that of any one of them."""
    dice = random.Random(5)
    reduced = stopped = 0
    for seed in range(14):
        good = Good.of(seed)
        given, wanted = good.inputs[0], good.outputs[:1]
        cases = [Case.of(p, s, encoding.decode(s.code).records()) for p, s in broken(good, dice)]
        for case in (Case.of(good.made.program, good.made.segment, good.records), *cases):
            verdict = judge(case, (given,), wanted)
            if verdict.racing or verdict.states > 1500:
                continue
            ends, _ = outcomes(case, given)
            if verdict.harm in (Harm.NONE, Harm.DIFFERENT):
                (end,) = ends
                assert not isinstance(end, str)
                once = run_once(case, given)
                assert all(np.array_equal(end[name], once[name]) for name in once)
                assert (verdict.harm is Harm.NONE) == all(np.array_equal(end[n], wanted[0][n]) for n in once)
                reduced += 1
            else:
                assert any(isinstance(end, str) for end in ends), verdict
                stopped += 1
    assert reduced > 20
    assert stopped > 10


def test_bytes_touched_are_those_the_engine_touches() -> None:
    """Counted here from the manual, told there to an observer: the sanitizer's eyes and the judge's are the same."""
    for seed in range(25):
        made = small_program(seed)
        dram = Memory("DRAM", made.program.dram_bytes)
        dram.preset(0, made.program.constants)
        for region in made.segment.inputs:
            dram.preset(region.address, np.zeros(region.bytes, np.uint8))
        engine = Engine(made.program.machine, dram)
        seen: dict[bool, set[tuple[str, int]]] = {False: set(), True: set()}

        def memory(memory: Memory, box: Box, write: bool, seen: dict[bool, set[Any]] = seen) -> None:
            marks = np.arange(box.start, box.end)
            view = np.lib.stride_tricks.as_strided(marks, (box.rows, box.columns, box.run),
                                                   (8 * box.row_stride, 8 * box.column_stride, 8))  # fmt: skip
            seen[write] |= {(memory.name, int(address)) for address in view.ravel()}

        def state(resource: str, write: bool, seen: dict[bool, set[Any]] = seen) -> None:
            number = {"L1 half 0": 0, "L1 half 1": 1, "active": 2, "shadow": 3}[resource]
            seen[write].add(("state", number))

        engine.sram.observer = engine.dram.observer = memory
        engine.touch = state
        for name, fields in encoding.decode(made.segment.code).records():
            seen[False].clear()
            seen[True].clear()
            engine.execute(name, fields)
            reads, writes = touches(name, fields, made.program.machine.configuration.image_bytes)
            assert seen[True] == writes, (seed, name)
            assert seen[False] | (writes if name == "configure" else set()) == reads, (seed, name)


# ------------------------------------------------------------------------------------------- the judge, by hand


def case_of(text: str, constants: np.ndarray[Any, np.dtype[np.uint8]], outputs: int = 16) -> Case:
    made = program(text, constants=constants, outputs=(Region("y", 0x8000, (outputs,)),))
    (segment,) = made.segments
    assert isinstance(segment, MachineSegment)
    return Case.of(made, segment, encoding.decode(segment.code).records())


def harm(text: str, constants: np.ndarray[Any, np.dtype[np.uint8]] | None = None) -> tuple[Harm, bool]:
    case = case_of(text, np.arange(256, dtype=np.uint8) if constants is None else constants)
    verdict = judge(case, ({},), None)
    return verdict.harm, verdict.racing


STORE = "store dram=0x8000 sram=0x100 bytes=16 | wait "
COPY = "vector op=copy channels=16 out.base=0x100 ra=1.0"


@pytest.mark.parametrize(
    ("text", "wanted", "racing"),
    [
        (f"load bytes=16\n{COPY} | wait load 1\n{STORE}vector 1", Harm.NONE, False),
        (f"load bytes=16\n{COPY}\n{STORE}vector 1", Harm.OPERAND, True),
        (f"load bytes=16 | wait store 1\n{COPY} | wait load 1\n{STORE}vector 1", Harm.DEADLOCK, False),
        (f"load bytes=15\n{COPY} | wait load 1\n{STORE}vector 1", Harm.UNWRITTEN, False),
        (f"load bytes=16\n{COPY} | wait load 1\nstore dram=0x8000 sram=0x100 bytes=15 | wait vector 1", Harm.UNWRITTEN,
         False),
        (f"load bytes=16\n{COPY} out.row_stride=8 oy=2 | wait load 1\n{STORE}vector 1", Harm.STRUCTURE, False),
        # The last of two writers decides what is stored; when both write the same, nobody can tell.
        (f"load bytes=16\n{COPY} | wait load 1\nload dram=0x20 sram=0x100 bytes=16\n{STORE}vector 1, load 2",
         Harm.ORDER, True),
        (f"load bytes=16\n{COPY} | wait load 1\nload sram=0x100 bytes=16\n{STORE}vector 1, load 2", Harm.NONE, True),
        # A byte that is written again in order is not what an earlier race left there.
        (f"load bytes=16\n{COPY} | wait load 1\nload dram=0x20 sram=0x100 bytes=16\nload sram=0x100 bytes=16 | "
         f"wait vector 1\n{STORE}load 3", Harm.NONE, True),
    ],
)  # fmt: skip
def test_verdicts(text: str, wanted: Harm, racing: bool) -> None:
    assert harm(text) == (wanted, racing)


def test_a_stop_because_of_values_is_told_apart() -> None:
    constants = np.concatenate([image("direct g1 k1 r1 p1"), params([2**31 - 1], [1.0]), np.full(16, 127, np.uint8)])
    text = """
    load_config
    configure | wait load 1
    load dram=0x80 bytes=24
    fill address=0x8 k=1 | wait load 2
    conv first=1 last=1 in.base=0x8 params=0 out.base=0x100 lo=-128 hi=127 | wait load 2, weights 1
    store dram=0x8000 sram=0x100 bytes=1 | wait array 2
    """
    case = case_of(text, constants, 1)
    assert judge(case, ({},), None).harm is Harm.VALUE
    check_program(case.program)


class _Blind:
    """A sanitizer that sees nothing."""

    def __init__(self, *_: object) -> None: ...

    def begin(self, _index: int) -> None: ...


def _nothing(*_: object) -> None: ...


def _never(*_: object) -> str:
    return "no program is good enough"


def test_a_blind_proof_a_blind_sanitizer_and_a_jealous_proof_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("passes.proof.hazards._Proof.races", _nothing)
        patch.setattr("passes.proof.frames.obeys", _nothing)
        patch.setattr("sim.simulator.Sanitizer", _Blind)
        missed = [who for result in compare(42, 9).missed for who in result.missed]
    assert {"proof", "sanitizer"} == set(missed)
    monkeypatch.setattr("tests.mutations.table.proof_rejects", _never)
    assert len(compare(14, 9).good_accused) == ENOUGH
