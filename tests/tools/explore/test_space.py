"""Space files: the machines they hold, in a fixed order, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.machine.description import load
from sim.machine.errors import ReconError
from tests.tools.explore.support import MODELS, written
from tools.explore.explore import Exploration
from tools.explore.space import DesignSpace
from tools.explore.space_file import read_space
from tools.explore.store import PointStore
from tools.explore.summary import extent
from tools.options import Planning

MODEL = f'[[models]]\nfile = "{MODELS / "dscnn_kws_int8.onnx"}"\n'


def space(folder: Path, text: str) -> DesignSpace:
    return read_space(written(folder, MODEL + text))


def test_the_product_in_order(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        """
[machine]
base = ["edge1k", "edge4k"]
[machine.vary]
"array.lanes" = [256, 512]
"sram.bytes" = { from = "1MiB", to = "4MiB", factor = 2 }
[machine.derive]
"streams.input" = "array.lanes / 8"
[options]
level = [1, 2]
objective = "energy"
without = ["", "prefetch+fusion"]
""",
    )
    machines = [choice.machine for choice in found.machines()]
    assert len(machines) == 12
    assert machines[:2] == [
        "edge1k with array.lanes=256, sram.bytes=1048576, streams.input=32",
        "edge1k with array.lanes=256, sram.bytes=2097152, streams.input=32",
    ]
    assert machines[-1] == "edge4k with array.lanes=512, sram.bytes=4194304, streams.input=64"
    assert load(machines[-1]).streams.input == 64
    assert found.plannings[0] == Planning(level=1, objective="energy")
    assert found.plannings[3] == Planning(level=2, objective="energy", prefetch=False, fusion=False)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{ from = "64KiB", to = "256KiB", step = "64KiB" }', [65536, 131072, 196608, 262144]),
        ("{ from = 1000, to = 8000, steps = 4 }", [1000, 2000, 4000, 8000]),
        ("{ from = 3, to = 40, factor = 3 }", [3, 9, 27]),
        ('["1MiB", 34e5]', [1048576, 3400000]),
    ],
)
def test_ranges(tmp_path: Path, text: str, values: list[int]) -> None:
    machines = space(tmp_path, f'[machine.vary]\n"sram.bytes" = {text}\n').machines()
    assert [load(choice.machine).sram.bytes for choice in machines] == values


def test_several_keys_at_once_and_constraints(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        """
[machine]
constraints = ["area_mm2 < 40", "sram.bytes >= 1KiB * array.lanes"]
[machine.vary]
array = [ { "array.lanes" = 1024, "array.configurations" = "systolic 32x32", "array.winograd" = "none" },
          { "array.lanes" = 2048, "array.configurations" = [] } ]
"sram.bytes" = ["1MiB", "2MiB", "64MiB"]
""",
    )
    machines = [load(choice.machine) for choice in found.machines()]
    assert [(m.array.lanes, m.sram.bytes >> 20) for m in machines] == [(1024, 1), (1024, 2), (2048, 2)]
    assert machines[0].array.configurations == ("direct g1 k32 r32 p1",)


def test_a_sample_is_the_seeds(tmp_path: Path) -> None:
    text = """
[machine]
sample = 20
seed = {seed}
[machine.vary]
"array.lanes" = {{ from = 64, to = 8192, factor = 2 }}
"sram.bytes" = {{ from = "64KiB", to = "64MiB", steps = 60 }}
"dram.latency" = {{ from = 1, to = 100, step = 1 }}
"""
    first, again, other = (space(tmp_path, text.format(seed=seed)).machines() for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(set(first)) == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[machine]\nbase = 3", "key 'machine.base' must be a machine's name or file, not 3."),
        ("[machines]", "key 'machines' is not known; allowed here are models, machine, options, area, goal, search."),
        ("[machine.vary]\n\"array.lanes\" = []", "key 'machine.vary.array.lanes' must not be empty."),
        (
            "[machine.vary]\n\"sram.bytes\" = { from = 1, to = 2 }",
            "key 'machine.vary.sram.bytes' must have from, to, and one of factor, step, steps.",
        ),
        (
            "[machine.vary]\n\"sram.bytes\" = { from = 4, to = 2, step = 1 }",
            "key 'machine.vary.sram.bytes' must go up from a number above 0, by a factor above 1, a step or steps of "
            "at least 1.",
        ),
        (
            "[machine]\nconstraints = [\"sram < 4\"]",
            "key 'machine.constraints': \"sram < 4\" names sram, which is not known here.",
        ),
        (
            "[machine]\nsample = 9\n[machine.vary]\n\"array.lanes\" = [64, 128]",
            "machine.sample asks for 9 machines, and only 2 were found that the constraints allow among 2; ask for "
            "fewer, or loosen a constraint.",
        ),
        ("[machine]\nconstraints = [\"area_mm2 < 1\"]", "the constraints leave no machine of 1."),
        ("[options]\nlevel = 7", "key 'options.level' is 7; there are 0 to 2."),
        ("[options]\nbatch = 100", "key 'options.batch' is 100; there are 1 to 64."),
        (
            "[machine.vary]\n\"sram.bytes\" = { from = 1, to = 2e9, step = 1 }",
            "key 'machine.vary.sram.bytes' holds more than 1,000 values; make its steps larger.",
        ),
        (
            "[machine.vary]\n\"sram.bytes\" = { from = 1, to = 2, factor = inf }",
            "key 'machine.vary.sram.bytes' must go up from a number above 0, by a factor above 1, a step or steps of "
            "at least 1.",
        ),
        (
            "[goal]\nwhere = \"frames_per_seconds >= 30\"",
            "key 'goal.where': \"frames_per_seconds >= 30\" names frames_per_seconds, which is not known here; did you "
            "mean frames_per_second?",
        ),
        (
            "[machine]\nconstraints = \"sram.bytes > 0 or lanes > 3\"",
            "key 'machine.constraints': \"sram.bytes > 0 or lanes > 3\" names lanes, which is not known here; "
            "did you mean array.lanes?",
        ),
        ("[area]\nmac_um2 = 3", "key 'area.source' is missing: an estimate says where its numbers come from."),
        ("[goal]\nleast = 4", "key 'goal.least' must be an expression in quotes, not 4."),
        (
            "[search]\nobjectives = [\"speed\"]",
            "key 'search.objectives' names 'speed'; there are cycles, seconds, energy_joules, area_mm2, dram_bytes, "
            "dram_read_bytes, dram_write_bytes, program_bytes.",
        ),
    ],
)  # fmt: skip
def test_messages(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReconError) as error:
        space(tmp_path, text).machines()
    said = str(error.value)
    assert said.startswith(f"{tmp_path / 'space.toml'}: ")
    assert said.removeprefix(f"{tmp_path / 'space.toml'}: ") == message


def test_a_key_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match=r"key 'machine\.vary\.lanes' speaks of 'lanes', which is no key of a machine"):
        space(tmp_path, "[machine.vary]\nlanes = [1]")


def test_values_that_are_none_are_told_with_their_key(tmp_path: Path) -> None:
    for text, told in (
        (
            '[machine.vary]\n"sram.bytes" = [0]',
            "key 'machine.vary.sram.bytes': --set sram.bytes=0: key 'sram.bytes' must be at least 1, not 0.",
        ),
        (
            "[options]\nsram_limit = 'two'",
            "[options]: --sram-limit two: write a size such as 2MiB, 2048KiB, 2MB or 2097152.",
        ),
        ("[options]\nframes = [1, 0]", "[options]: --frames 0: write how many frames follow each other, or stream."),
        (
            "[options]\nbatch = 4\nobjective = ['energy', 'latency']",
            "[options]: A batch of 4 works on frames together and keeps them in SRAM, so it goes with neither the "
            "objective latency nor without residency.",
        ),
    ):
        with pytest.raises(ReconError) as error:
            space(tmp_path, text)
        assert str(error.value) == f"{tmp_path / 'space.toml'}: {told}"


def test_options_are_multiplied_out(tmp_path: Path) -> None:
    found = space(tmp_path, "[options]\nlevel = 1\nobjective = ['cycles', 'energy']\nframes = 'stream'\nbatch = [1, 4]")
    assert found.plannings == tuple(
        Planning(level=1, objective=objective, frames="stream", batch=batch)
        for objective in ("cycles", "energy")
        for batch in (1, 4)
    )
    assert extent(found) == "4 points: 1 model with 4 sets of options on 1 machine of 1."


def test_a_product_that_nobody_waits_for_is_refused_and_sampled(tmp_path: Path) -> None:
    axes = "\n".join(
        f'"{key}" = {{ from = 1000, to = 1999, step = 1 }}' for key in ("sram.bytes", "dram.latency", "clock_hz")
    )
    with pytest.raises(ReconError) as error:
        extent(space(tmp_path, f"[machine.vary]\n{axes}"))
    assert str(error.value) == (
        f"{tmp_path / 'space.toml'}: the product of all axes has 1,000,000,000 machines, and at most 100,000 are "
        "looked at one by one; ask for some of them with machine.sample, or for a [search]."
    )
    sampled = space(tmp_path, f"[machine]\nsample = 5\n[machine.vary]\n{axes}")
    assert extent(sampled) == "5 points: 1 model with 1 set of options on 5 machines of 1,000,000,000."
    assert len(set(sampled.machines())) == 5
    searched = space(tmp_path, f"[search]\ntrials = 40\n[machine.vary]\n{axes}")
    assert extent(searched) == (
        "At most 40 points: 1 model with 1 set of options on 40 machines of 1,000,000,000, searched for."
    )


def test_models_that_are_not_there_are_told_together(tmp_path: Path) -> None:
    found = read_space(written(tmp_path, '[[models]]\nfile = "a.onnx"\n[[models]]\nfile = "b.onnx"\n'))
    with pytest.raises(ReconError) as error:
        found.check_models()
    assert str(error.value) == (
        f"{tmp_path / 'space.toml'}: key 'models.file' names what is no file: {tmp_path / 'a.onnx'}, "
        f"{tmp_path / 'b.onnx'}."
    )


def test_a_model_is_tried_on_some_machines_only(tmp_path: Path) -> None:
    large = f'only = "array.lanes >= 512"\n[[models]]\nfile = "{MODELS / "resnet8_cifar10_int8.onnx"}"\n'
    found = space(tmp_path, large + '[machine.vary]\n"array.lanes" = [256, 512]\n')
    assert [[entry.name for entry in found.tried(choice)] for choice in found.machines()] == [
        ["resnet8_cifar10_int8"],
        ["dscnn_kws_int8", "resnet8_cifar10_int8"],
    ]
    assert extent(found) == "3 points: 2 models with 1 set of options on 2 machines of 2."
    points = Exploration(found, PointStore(tmp_path / "rows.sqlite")).points(found.machines())
    assert [point.machine.rpartition("=")[2] for point in points] == ["256", "512", "512"]
    with pytest.raises(
        ReconError, match=r"key 'models\.only': \"lanes > 3\" names lanes, which is not known here; did"
    ):
        space(tmp_path, 'only = "lanes > 3"\n')
