"""What xDSL's verifier leaves out: definitions come before uses, symbols exist, names name one thing, attributes are
known, and no higher level survives.

All problems are reported together, with their places in the text where they were read from text. Values are visible to
the ops after them in their block and to the regions nested in those ops, unless a region is isolated from above.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, SymbolRefAttr, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, BlockArgument, Operation, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.passes import ModulePass
from xdsl.traits import IsolatedFromAbove

from dialects import accel, cnn, tile
from dialects.recon import CallOp, LayerOp
from dialects.tile_attributes import ConfigurationAttr
from passes.common.levels import LEVELS
from passes.common.problems import Problems, place_in_text
from sim.machine import description as machines
from sim.machine.errors import MachineFileError

_STAYS = ("cnn.host", "cnn.yield")
"""Host regions and their terminators may stay to the end."""

_EXTRA: Mapping[tuple[str, str], type[Attribute]] = {
    ("cnn.conv2d", "configuration"): ConfigurationAttr,
    ("cnn.fully_connected", "configuration"): ConfigurationAttr,
    ("onnx.node", "absorbed"): ArrayAttr,
}
"""Attributes of our operations besides their properties: a pin or a choice of ``select-configuration``, and the ONNX
nodes that folding has put into one. Others have a dot in their name, as MLIR wants it of what is foreign."""


_SPEAKS_OF: Mapping[str, tuple[tuple[type[Operation], ...], str]] = {
    "layer": ((LayerOp,), "a recon.layer"),
    "segment": ((tile.ScheduleOp, accel.ProgramOp), "a tile.schedule or an accel.program"),
}
"""What the symbols in these attributes have to name."""


@dataclass(frozen=True)
class VerifyStructurePass(ModulePass):
    """Check dominance and symbols, and with ``level`` that no op of a level above it is left. ModelError lists all.

    At level ``tile`` also that the machine can do what the plans say: trip counts, live halves of L1, its limits.
    """

    name = "verify-structure"
    level: str = ""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        verify_structure(op, self.level)
        if self.level == "tile":
            verify_plans(op)


def verify_structure(module: ModuleOp, level: str = "") -> None:
    """ModelError naming every value used before its definition, symbol that does not exist, and op above ``level``."""
    problems = Problems("The module")
    _Checker(module, level, problems).block(module.body.block, set(), False)
    problems.raise_if_any()


def verify_plans(module: ModuleOp) -> None:
    """ModelError lists what the machine cannot do of each ``tile.schedule``, as its lowering finds it; changes nothing.

    Programs are checked by ``check-hazards``, whatever they were made from.
    """
    from dialects.tile import ScheduleOp
    from passes.tile_to_accel.lowering import lower

    for op in module.body.block.ops:
        if isinstance(op, ScheduleOp):
            lower(op)


Across = tuple[list[int], list[int], bool]
"""Bytes of the inputs and of the outputs of a segment, and whether it has frames."""


class _Checker:
    def __init__(self, module: ModuleOp, level: str, problems: Problems):
        self.problems = problems
        self.above = LEVELS[: LEVELS.index(level)] if level else ()
        self.level = level
        self.symbols: dict[str, Operation] = {}
        self.layers: dict[str, Operation] = {}
        self.segments: dict[str, Across] = {}
        for op in module.body.block.ops:
            if isinstance(op, tile.ScheduleOp | accel.ProgramOp):
                self.segments[op.sym_name.data] = _bytes_across(op)
                self.machine(op)
            name = op.properties.get("sym_name")
            if isinstance(name, StringAttr):
                self.symbols[name.data] = op
            if isinstance(op, FuncOp) and op.sym_name.data == "main":
                self.ports(op)

    def machine(self, op: tile.ScheduleOp | accel.ProgramOp) -> None:
        """Check that there is the machine that a plan or a program is for."""
        try:
            machines.load(op.machine.data)
        except MachineFileError as error:
            self.problems.add(_where(op), str(error))

    def ports(self, main: FuncOp) -> None:
        """Check the names that ``inputs`` and ``outputs`` of ``@main`` give its arguments and results."""
        last = main.body.block.last_op if main.body.blocks else None
        results = len(last.operands) if isinstance(last, ReturnOp) else 0
        for value in last.operands if isinstance(last, ReturnOp) else ():
            if last is not None and isinstance(value, BlockArgument) and isinstance(value.type, cnn.TensorType):
                hint = f"%{value.name_hint}" if value.name_hint else f"{value.index}"
                self.problems.add(
                    _where(last), f"@main returns its input {hint} as it is; a program makes its outputs itself."
                )
        arguments = len(main.body.block.args) if main.body.blocks else 0
        called = {
            "inputs": [value.name_hint or f"input{value.index}" for value in main.body.block.args] if arguments else [],
            "outputs": [f"output{number}" for number in range(results)],
        }
        for key, what, count in (("inputs", "argument", arguments), ("outputs", "result", results)):
            if (given := main.attributes.get(key)) is None:
                continue
            items = given.data if isinstance(given, ArrayAttr) else ()
            names = [item.data for item in items if isinstance(item, StringAttr)]
            called[key] = names
            if not isinstance(given, ArrayAttr) or len(names) != len(items):
                self.problems.add(_where(main), f"its {key} are a list of names, one for every {what}.")
            elif len(names) != count:
                self.problems.add(_where(main), f"its {key} name {len(names)} of {count} {what}s; name each, or none.")
            for name in sorted({name for name in names if names.count(name) > 1}):
                self.problems.add(_where(main), f"two of its {key} are called '{name}'.")
        given = dict(zip(called["inputs"], main.body.block.args if arguments else (), strict=False))
        for name, value in zip(called["outputs"], last.operands if isinstance(last, ReturnOp) else (), strict=False):
            if name in given and given[name] is not value:  # a model may return an input as it is
                said = f"an input and an output are called '{name}'; tensors go by their names."
                self.problems.add(_where(main), said)

    def block(self, block: Block, seen: set[SSAValue], on_host: bool) -> None:
        """Check a block in which the values ``seen`` are visible; those it adds are removed again."""
        added: list[SSAValue] = [*block.args]
        seen.update(block.args)
        for op in block.ops:
            for number, operand in enumerate(op.operands):
                if operand not in seen:
                    hint = f"%{operand.name_hint}" if operand.name_hint else f"operand {number}"
                    self.problems.add(
                        _where(op), f"it uses {hint} before its definition, or from a region that does not see it."
                    )
            self.op(op, on_host)
            for region in op.regions:
                visible = set[SSAValue]() if op.has_trait(IsolatedFromAbove) else seen
                for inner in region.blocks:
                    self.block(inner, visible, on_host or op.name == "cnn.host")
            seen.update(op.results)
            added.extend(op.results)
        seen.difference_update(added)

    def op(self, op: Operation, on_host: bool) -> None:
        """Check an op's level, attributes, layer and symbols."""
        self.attributes(op)
        if isinstance(op, CallOp) and (across := self.segments.get(op.segment.root_reference.data)) is not None:
            self.call(op, across)
        layer = op.properties.get("layer") if op.name.startswith("cnn.") and not on_host else None
        if isinstance(layer, StringAttr) and self.layers.setdefault(layer.data, op) is not op:
            first = place_in_text(self.layers[layer.data])
            self.problems.add(
                _where(op), f"the layer '{layer.data}' is defined twice{f', first at {first}' if first else ''}."
            )
        dialect = op.name.partition(".")[0]
        if dialect in self.above and not on_host and op.name not in _STAYS:
            self.problems.add(_where(op), f"{op.name} is left at level {self.level}; its lowering has not run.")
        for name, attribute in op.properties.items():
            if isinstance(attribute, SymbolRefAttr):
                self.symbol(op, name, attribute.root_reference.data)

    def symbol(self, op: Operation, name: str, symbol: str) -> None:
        """Check that the symbol that an attribute of an op names is there, and is what the attribute speaks of."""
        found, (kinds, wanted) = self.symbols.get(symbol), _SPEAKS_OF.get(name, ((Operation,), ""))
        if found is None:
            self.problems.add(_where(op), f"its {name} @{symbol} is not defined.")
        elif not isinstance(found, kinds):
            self.problems.add(_where(op), f"its {name} @{symbol} is {wanted}, and here it names {found.name}.")

    def call(self, op: CallOp, across: Across) -> None:
        """Check that a call gives and takes what its segment takes and gives; one with frames may take a batch of what
        the call passes, as often of every tensor."""
        passed = sum(_nbytes(value.type) for value in (*op.inputs, *op.outputs))
        frames = (sum(across[0]) + sum(across[1])) // max(1, passed) if across[2] else 1
        for what, values, wanted in (("takes", op.inputs, across[0]), ("gives", op.outputs, across[1])):
            given = [_nbytes(value.type) for value in values]
            if [frames * size for size in given] != wanted:
                name = op.segment.root_reference.data
                self.problems.add(
                    _where(op), f"@{name} {what} {_listed(wanted)} bytes, and the call has {_listed(given)}."
                )

    def attributes(self, op: Operation) -> None:
        """Check that an op of ours has no attribute that nobody reads: a misspelt one would be lost in silence."""
        if op.name.partition(".")[0] not in (*LEVELS, "recon") or not isinstance(op, IRDLOperation):
            return
        known = {name for owner, name in _EXTRA if owner == op.name}
        for name, attribute in op.attributes.items():
            kind = _EXTRA.get((op.name, name))
            if kind is None and "." not in name:
                near = difflib.get_close_matches(name, [*known, *op.get_irdl_definition().properties], 1)
                hint = f"did you mean '{near[0]}'?" if near else "a name of your own has a dot in it."
                self.problems.add(_where(op), f"it has no attribute '{name}'; {hint}")
            elif kind is not None and not isinstance(attribute, kind):
                self.problems.add(_where(op), f"its {name} is a {kind.name}, not {attribute}.")


def _bytes_across(op: tile.ScheduleOp | accel.ProgramOp) -> Across:
    """Bytes of every input and output of a segment, and whether it has frames."""
    repeats = any(isinstance(inner, tile.FrameOp | accel.FrameOp) for inner in op.body.block.ops)
    if isinstance(op, tile.ScheduleOp):
        return [_nbytes(v.type) for v in op.input_values], [_nbytes(v.type) for v in op.output_values], repeats
    regions = op.regions_in_dram
    inputs, outputs = ([r.nbytes for r in regions if r.kind.data == kind] for kind in ("input", "output"))
    return inputs, outputs, repeats


def _nbytes(kind: Attribute) -> int:
    """Bytes of a tensor as it crosses: of int8 one an element."""
    if isinstance(kind, cnn.FloatType):
        return math.prod(kind.in_memory.dims)
    if isinstance(kind, cnn.TensorType | tile.DramType):
        return math.prod(kind.dims)
    return math.prod(kind.get_shape()) if isinstance(kind, TensorType) else 0


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size:,}" for size in sizes) or "no"


def _where(op: Operation) -> str:
    result = op.results[0].name_hint if op.results else None
    place = place_in_text(op)
    return (f"{place}, " if place else "") + (f"{op.name} %{result}" if result else op.name)
