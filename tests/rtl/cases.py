"""Programs for the machine in RTL: small compiled ones, random ones of which only the time counts, whole networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import recon
from rtl.limits import refusal
from sim.machine import configuration_image, encoding, program
from sim.machine.description import Machine, load
from sim.machine.encoding import Record
from sim.machine.errors import ReconError
from sim.machine.operations import NAMES
from tests.conftest import ROOT
from tests.mutations.small_programs import small_program
from tests.second_clock.random_programs import RandomProgram, random_program

MACHINE_FILE = ROOT / "rtl" / "edge64.toml"
MACHINE = load(str(MACHINE_FILE))

NETWORKS = ("dscnn_kws_int8", "mobilenetv2_kws_int8", "resnet8_cifar10_int8", "mobilenetv1_vww_int8")
"""Models of ``tests/data/models`` that are compiled for the machine."""

_IMAGE = MACHINE.configuration.image_bytes
_DRAM = 1 << 20
_SRAM = 48 << 10
"""Where random programs end and the images begin that nothing of theirs may write over."""
_COPIES = _DRAM + (32 << 10)


@dataclass(frozen=True, eq=False)
class Case:
    """A machine segment and what DRAM holds before it; ``values`` says whether its bytes mean anything."""

    name: str
    machine: Machine
    code: bytes
    dram: npt.NDArray[np.uint8]
    values: bool = True


def small(seeds: range) -> Iterator[Case]:
    """Small compiled programs (``tests/mutations``), those left out that the RTL has not."""
    for seed in seeds:
        made = small_program(seed, MACHINE_FILE)
        case = _of_program(f"small program {seed}", made.program, seed)
        if refusal(case.machine, case.code) is None:
            yield case


def network(name: str) -> Case:
    """A network compiled for the machine, its one machine segment upon random input."""
    path = ROOT / "tests" / "data" / "models" / f"{name}.onnx"
    case = _of_program(name, recon.compile(path, machine=str(MACHINE_FILE)), 0)
    if (reason := refusal(case.machine, case.code)) is not None:
        raise ReconError(f"{name}: {reason}")
    return case


def _of_program(name: str, made: program.Program, seed: int) -> Case:
    (segment,) = (part for part in made.segments if isinstance(part, program.MachineSegment))
    dram = np.zeros(made.dram_bytes, np.uint8)
    dram[: made.constants.size] = made.constants
    dice = np.random.default_rng(seed)
    for region in segment.inputs:
        dram[region.address : region.address + region.bytes] = dice.integers(0, 256, region.bytes, np.uint8)
    return Case(name, made.machine, segment.code, dram)


def timed(seeds: range, instructions: int = 60) -> Iterator[Case]:
    """Random programs of every instruction, of extents no compiler would choose, on random bytes: for their time."""
    smaller = dataclasses.replace(
        MACHINE,
        sram=dataclasses.replace(MACHINE.sram, bytes=_SRAM),
        dram=dataclasses.replace(MACHINE.dram, bytes=_DRAM),
    )
    for seed in seeds:
        case = _timed(seed, random_program(smaller, seed, instructions))
        if refusal(case.machine, case.code) is None:
            yield case


def _timed(seed: int, made: RandomProgram) -> Case:
    """The program with its images where nothing writes, those for SRAM brought there by a first load."""
    dram = np.random.default_rng(seed).integers(0, 256, _COPIES + MACHINE.sram.bytes - _SRAM, np.uint8)
    places: dict[tuple[int, int], int] = {}
    for (space, address), held in made.images.items():
        at = _IMAGE * sum(other == space for other, _ in places)
        places[space, address] = (_SRAM if space else _DRAM) + at
        start = (_COPIES if space else _DRAM) + at
        image = configuration_image.encode(held, _IMAGE)
        dram[start : start + _IMAGE] = np.frombuffer(image, np.uint8)
    copied = _IMAGE * sum(space for space, _ in places)
    records: list[Record] = []
    if copied:
        records.append(("load", {"dram": _COPIES, "sram": _SRAM, "bytes": copied}))
    for name, fields in made.records:
        moved = dict(fields)
        if name == "load_config":
            moved["address"] = places[int(fields["space"]), int(fields["address"])]
        if name == "vector" and NAMES[int(fields["op"])] == "lrn":
            moved["op"] = NAMES.index("copy")  # what the RTL has not, and costs the same
        if name == "conv" and moved["last"] == 2:
            moved["last"] = 1  # nor has it results in float32
        if copied and moved.get("wait.load"):
            moved["wait.load"] += 1
        records.append((name, moved))
    return Case(f"random program {seed}", MACHINE, encoding.encode(records), dram, values=False)
