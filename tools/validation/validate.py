"""Check every pass by running the IR before and after it: the meaning of the program must not change.

The reference meanings in ``dialects.meaning`` share no code with the passes. From ``cnn`` down every answer and every
comparable layer must be the same bytes. From ``onnx`` to ``cnn`` each layer is judged by ONNX Runtime on the same
integers, and may differ where a rounding ties; end to end such differences spread, so there outputs may differ by
``LIMIT`` steps. ``assume-int8`` makes up scales, so it changes answers by design and is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import accel
from dialects.meaning.calls import main_of
from dialects.onnx_export import strings_of
from passes.common.levels import level_of
from passes.common.notes import NOTES, PUT_IN
from passes.every_level.verify_structure import verify_plans
from sim.machine.errors import ReconError
from sim.machine.program import Program
from tools.proof.machine import NotProven
from tools.proof.prover import Proof, prove
from tools.validation.observe import Observation, SeenLayer, observe, runs
from tools.validation.onnx_reference import OnnxReference
from tools.validation.probes import Inputs, entrances, probes
from tools.validation.room import check_room

if TYPE_CHECKING:
    from tools.validation.against import Original

Array = npt.NDArray[Any]

LIMIT = 16
"""Steps of an output's quantisation by which it may differ end to end from the float meaning of the onnx level."""

CLOSE = 1e-3
"""Part of its range by which a float output may differ after a pass at the onnx level, or where it has no step."""

DEFAULT_INPUTS = 4

EXEMPT = ("assume-int8",)
"""Passes that change answers because that is what they are for."""

PROPOSING = ("convert-tile-to-accel",)
"""Passes behind which addresses in SRAM are proposals, which may overlap until ``allocate-sram`` has judged them."""

OVERFLOW = "does not fit int32"
"""In the words of every level's meaning: the machine would stop, so there is no answer."""

Report = Callable[[str], None]

_PLACE = re.compile(r".+?:\d+:\d+: ")


class ValidationError(ReconError):
    """A pass changed an answer."""


@dataclass(frozen=True)
class Mismatch:
    """The first element that differs: where (``layer 'conv1', …``), index, both values, and how many differ."""

    where: str
    index: tuple[int, ...]
    before: str
    after: str
    wrong: int
    elements: int

    def __str__(self) -> str:
        of = (
            "its only element differs" if self.elements == 1 else f"{self.wrong:,} of {self.elements:,} elements differ"
        )
        return f"{self.where}, element {list(self.index)}: {self.before} before, {self.after} after; {of}"


@dataclass
class _State:
    """The module as it was last run: per input what came out, or why nothing did."""

    level: str
    text: str
    reference: OnnxReference | None = None
    seen: list[Observation] = field(default_factory=list[Observation])
    faults: list[str] = field(default_factory=list[str])


@dataclass
class Validator:
    """Follows a module through a pipeline; ``start`` before the first pass, ``after`` each of them.

    ``checked``, ``unchanged`` and ``skipped`` name the passes, ``inputs`` what was run. With an ``original`` the module
    has to be that model before the first pass, and the program is proven against it.
    """

    count: int = DEFAULT_INPUTS
    seed: int = 0
    report: Report | None = None
    original: Original | None = None
    checked: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    layers: int = 0
    outputs: int = 0
    level: str = ""
    _inputs: list[tuple[str, Inputs]] = field(default_factory=list[tuple[str, Inputs]])
    _state: _State | None = None
    _fault: str = ""
    _cnn: ModuleOp | None = None
    proven: Proof | None = None

    def between(self, before: ModulePass | None, module: ModuleOp, _after: ModulePass | None = None) -> None:
        """The callback of a PassPipeline: before the first pass, between two, and after the last."""
        if before is None:
            self.start(module)
        else:
            self.after(before.name, module)

    @property
    def inputs(self) -> int:
        """Inputs tried."""
        return len(self._inputs)

    def start(self, module: ModuleOp) -> None:
        """Run the module that the passes are to preserve."""
        found = entrances(module)
        if not found and main_of(module) is None and level_of(module) not in ("tile", "accel"):
            raise ReconError("There is nothing to validate: the module has no @main, schedule or program with inputs.")
        check_room(module)
        if level_of(module) == "tile":
            verify_plans(module)  # in better words than the interpreter's, and before it runs a loop without end
        self._inputs = probes(found, self.count if found else 1, self.seed)
        self._state = self._run(module, str(module), "running the module as it is")
        for (label, _), fault in zip(self._inputs, self._state.faults, strict=True):
            if fault and OVERFLOW not in fault:
                place = found[0] if (found := _PLACE.match(fault)) else ""
                said = fault.removeprefix(place).rstrip(".")
                raise ReconError(f"{place}The module cannot be run as it is, on {label}: {said}.")
        self.level, self._fault = self._state.level, next(filter(None, self._state.faults), "")
        if self.original is not None:
            self._compare_with(self.original, module)
        self._keep(module)

    def _compare_with(self, original: Original, module: ModuleOp) -> None:
        assert self._state is not None
        if self.level == "onnx":
            raise ReconError(f"--against {original.name} is for text below the onnx level, which this is not.")
        original.check_ports(module)
        for number, (label, inputs) in enumerate(self._inputs):
            if not self._state.faults[number]:
                original.check(self._state.seen[number], label, inputs)
        if not original.layers + original.outputs:
            raise ReconError(f"Nothing was compared with {original.name}: on no input does the text have an answer.")
        self._cnn = original.module

    def after(self, name: str, module: ModuleOp) -> None:
        """Compare with the module before; ValidationError says where the pass called ``name`` changed an answer."""
        assert self._state is not None, "start comes first"
        text = str(module)
        self._keep(module)
        if text == self._state.text:
            self.unchanged.append(name)
            return
        if not runs(module):
            self.skipped[name] = "part of the module is not converted, which a later pass reports"
            return
        state = self._run(_unplaced(module) if name in PROPOSING else module, text, f"checking {name}")
        if name in EXEMPT:
            self.skipped[name] = "it changes answers by design"
        else:
            self.checked.append(name)
            for number, (label, inputs) in enumerate(self._inputs):
                difference = self._difference(self._state, state, number, module, inputs)
                if difference is not None:
                    raise ValidationError(f"{name} changed an answer on {label}: {difference}.")
        self._state = state

    def program(self, name: str, run: Callable[[Inputs], Mapping[str, Array]]) -> None:
        """Compare what the last module means with what a program made of it answers."""
        assert self._state is not None, "start comes first"
        self.checked.append(name)
        for number, (label, inputs) in enumerate(self._inputs):
            if self._state.faults[number]:
                continue
            outputs = run(inputs)
            self.outputs += len(outputs)
            difference = _outputs(self._state.seen[number].outputs, outputs)
            if difference is not None:
                raise ValidationError(f"{name} changed an answer on {label}: {difference}.")

    def prove(self, program: Program) -> None:
        """Prove the program against the last module of the cnn level; ValidationError says where it parts from it.

        A plan in text has no such module, and nothing is proven of it.
        """
        if self._cnn is None:
            return
        try:
            self.proven = prove(program, self._cnn, report=self.report)
        except NotProven as error:
            raise ValidationError(str(error)) from None

    def _keep(self, module: ModuleOp) -> None:
        if level_of(module) == "cnn" and self.original is None:
            self._cnn = module.clone()

    def summary(self) -> str:
        """One line for people: what was compared with what. ReconError if passes were run and nothing was compared."""
        if self.checked and not self.layers + self.outputs:
            fault = self._fault
            place = found[0] if (found := _PLACE.match(fault)) else ""
            reason = f": {fault.removeprefix(place).rstrip('.')}" if fault else ""
            raise ReconError(
                f"{place}Nothing was compared, which is no success: on none of {self.inputs} inputs does the module "
                f"have an answer{reason}."
            )
        parts = [
            f"{_count(len(self.checked), 'pass')} checked on {_count(self.inputs, 'input')}, "
            f"{_count(self.layers, 'layer')} and {_count(self.outputs, 'output')} compared"
        ]
        if self.original is not None:
            parts.append(
                f"the text compared with {self.original.name}, {_count(self.original.layers, 'layer')} and "
                f"{_count(self.original.outputs, 'output')}"
            )
        elif self.level != "onnx":
            parts.append("the text itself was the reference, and no model (--against MODEL compares it with one)")
        parts.append(f"{_count(len(self.unchanged), 'pass')} changed nothing")
        if self.proven is not None:
            parts.append("the program proven for every input")
        return "; ".join(parts)

    # ------------------------------------------------------------------------------------------------- running

    def _run(self, module: ModuleOp, text: str, doing: str) -> _State:
        state = _State(level_of(module), text)
        if state.level == "onnx":
            state.reference = OnnxReference(module)
        for label, inputs in self._inputs:
            if self.report is not None:
                self.report(f"{doing}: {label}")
            fault, seen = "", Observation(state.level)
            try:
                if state.reference is not None:
                    seen.outputs = state.reference.run(inputs)
                else:
                    seen = observe(module, inputs)
            except (ReconError, OverflowError, ValueError) as error:
                fault = str(error)
            state.seen.append(seen)
            state.faults.append(fault)
        return state

    def _difference(
        self, before: _State, after: _State, number: int, module: ModuleOp, inputs: Inputs
    ) -> Mismatch | str | None:
        old, new = before.seen[number], after.seen[number]
        if before.faults[number]:
            return None  # a sum leaves int32, and the machine would stop here: there is no answer to preserve
        if after.faults[number]:
            overflow = before.level == "onnx" and OVERFLOW in after.faults[number]
            return None if overflow else f"there is none any more. {after.faults[number]}".rstrip(".")
        self.outputs += len(old.outputs)
        if before.reference is None:
            return self._same(old, new)
        if after.level == "onnx":
            return near(before.reference, old.outputs, new.outputs, LIMIT)
        return self._judged(before.reference, old, new, module, inputs)

    def _same(self, old: Observation, new: Observation) -> Mismatch | None:
        for name, layer in old.layers.items():
            if name in new.layers and comparable(layer, new.layers[name]):
                self.layers += 1
                if (difference := _layers(name, layer, new.layers[name])) is not None:
                    return difference
        return _outputs(old.outputs, new.outputs)

    def _judged(
        self, reference: OnnxReference, old: Observation, new: Observation, module: ModuleOp, inputs: Inputs
    ) -> Mismatch | None:
        values = {name: layer.value for name, layer in new.layers.items() if layer.value is not None}
        judgements, outputs = reference.judge(reference.matches(module), inputs, values)
        self.layers += len(judgements)
        for found in judgements:
            if found.wrong:
                exact = "" if np.isnan(found.exact) else f" ({found.exact:.3f} before rounding)"
                where = f"layer '{found.layer}', ONNX node '{found.node}'"
                return Mismatch(
                    where, found.index, f"{found.expected}{exact}", str(found.found), found.wrong, found.elements
                )
        if any(note.startswith(PUT_IN) for note in strings_of(module.attributes.get(NOTES))):
            return None  # a quantiser put in rounds where the graph does not, and that spreads
        local = near(reference, outputs, new.outputs, 1)
        if local is not None or any(found.undefined for found in judgements):
            return local  # what a quantiser makes of NaN is up to it
        whole = old.outputs
        if any(found.ties for found in judgements):  # in float a tie shows as all that comes of it
            whole = {
                name: array for name, array in whole.items() if reference.steps.get(name) or array.dtype.kind in "iu"
            }
        return near(reference, whole, new.outputs, LIMIT)


def _unplaced(module: ModuleOp) -> ModuleOp:
    """The module with every buffer in a memory of its own."""
    copy = module.clone()
    for program in accel.programs(copy):
        for buffer in program.buffers:
            buffer.put(None)
    return copy


# --------------------------------------------------------------------------------------------------- comparing


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"


def comparable(old: SeenLayer, new: SeenLayer) -> bool:
    """Whether two levels show the same thing under a layer's name, whole or in the same tiles."""
    if old.mark and new.mark and old.mark != new.mark:
        return False  # something joined the layer
    if old.value is not None and new.value is not None:
        return old.value.size == new.value.size
    return bool(old.tiles) and [part.codes.shape for part in old.tiles] == [part.codes.shape for part in new.tiles]


def _layers(name: str, old: SeenLayer, new: SeenLayer) -> Mismatch | None:
    if old.value is not None and new.value is not None:
        ops = old.op if old.op == new.op else f"{old.op} → {new.op}"
        return first_difference(f"layer '{name}' ({ops})", old.value, new.value.reshape(old.value.shape))
    for number, (one, other) in enumerate(zip(old.tiles, new.tiles, strict=True)):
        part = f", tile {number}" if len(old.tiles) > 1 else ""
        ops = one.op if one.op == other.op else f"{one.op} → {other.op}"
        difference = first_difference(f"layer '{name}'{part} ({ops})", one.codes, other.codes)
        if difference is not None:
            return difference
    return None


def _outputs(old: Mapping[str, Array], new: Mapping[str, Array]) -> Mismatch | None:
    for name, array in old.items():
        if name not in new or new[name].shape != array.shape or new[name].dtype != array.dtype:
            after = _kind(new[name]) if name in new else "missing"
            return Mismatch(f"output '{name}'", (), _kind(array), after, array.size, array.size)
        difference = first_difference(f"output '{name}'", array, new[name])
        if difference is not None:
            return difference
    return None


def _kind(array: Array) -> str:
    return f"{array.dtype} of shape {list(array.shape)}"


def first_difference(where: str, old: Array, new: Array) -> Mismatch | None:
    """The first element whose bytes differ; NaN equals NaN."""
    if old.tobytes() == new.tobytes():
        return None
    off = old != new
    off |= np.isnan(old) != np.isnan(new) if old.dtype.kind == "f" else False
    places = np.argwhere(off)
    if not len(places):
        return None
    index = tuple(int(n) for n in places[0])
    return Mismatch(where, index, str(old[index]), str(new[index]), len(places), old.size)


def near(reference: OnnxReference, old: Mapping[str, Array], new: Mapping[str, Array], steps: int) -> Mismatch | None:
    """The first element of an output that is further away than so many steps, or than CLOSE where it has no steps."""
    for name, array in old.items():
        if name not in new or new[name].shape != array.shape or new[name].dtype != array.dtype:
            return _outputs({name: array}, new)
        first, second = array.astype(np.float64), new[name].astype(np.float64)
        reach = float(np.max(np.abs(first), initial=0.0, where=np.isfinite(first)))
        step = 1.0 if array.dtype.kind in "iu" else reference.steps.get(name, 0.0)
        allowed = steps * step * 1.0001 if step else CLOSE * max(reach, 1e-6)
        off = ~((np.abs(first - second) <= allowed) | (first == second) | (np.isnan(first) & np.isnan(second)))
        places = np.argwhere(off)
        if len(places):
            index = tuple(int(n) for n in places[0])
            return Mismatch(
                f"output '{name}'", index, str(array[index]), str(new[name][index]), len(places), array.size
            )
    return None
