"""Which host regions there are, and what each holds: what the host computes before, between and after the machine.

Choices. Host and machine take turns. Everything has a level, the number of turns before it: even on the machine, odd
on the host, 0 for the graph's inputs. All host operators of a level make one region, so regions are as few as the
dependences allow and convex by construction; a value that only waits (a DequantizeLinear, a movement) is computed in
every region that reads it, so that int8 crosses. The operations are put in the order of their levels; what nothing
needs goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from dialects import cnn
from dialects.onnx import NodeOp, element_of, tensor
from passes.onnx_to_cnn.context import Conversion, HostPort
from passes.onnx_to_cnn.host import HostRegion
from passes.onnx_to_cnn.values import Codes, Host, Raw, Sums
from passes.onnx_to_cnn.view import flat

ONLY_LEADS = "It only leads to what the host computes or delivers."
"""Why a node is on the host although the machine could do its like."""


@dataclass
class _Plan:
    """What one region will hold: old nodes, ports to make, old values that a later region or the caller wants."""

    nodes: set[Operation] = field(default_factory=set[Operation])
    ports: list[HostPort] = field(default_factory=list[HostPort])
    exports: dict[SSAValue, None] = field(default_factory=dict[SSAValue, None])


class Regions:
    """Completes a conversion: host regions and the return are written into its block, in order with the rest."""

    def __init__(self, conversion: Conversion, old: Block):
        self.conversion = conversion
        self.old = old
        terminator = old.last_op
        assert isinstance(terminator, ReturnOp)
        self.outputs = list(terminator.operands)
        self.arguments: dict[SSAValue, BlockArgument] = dict(zip(old.args, conversion.block.args, strict=True))
        self.ports = {port.value: port for port in conversion.ports}
        self.levels: dict[SSAValue, int] = {}
        self.plans: dict[int, _Plan] = {}
        self.live: set[Operation] = set()
        self.places: dict[Operation, int] = {}
        self.made: dict[SSAValue, SSAValue] = {}

    def write(self) -> None:
        """Write regions and return, drop what nothing needs, and put everything in order."""
        self._plan_all()
        regions = {level: self._region(self.plans[level]) for level in sorted(self.plans)}
        self._arrange(regions)
        self.conversion.block.add_op(ReturnOp(*(self.made.get(v) or self.arguments[v] for v in self.outputs)))

    def hosted(self) -> dict[NodeOp, str]:
        """Every node that regions run, and why, in the order of the graph; quantisers left out."""
        self._plan_all()
        found = {op for plan in self.plans.values() for op in plan.nodes}
        return {op: why for op in self.old.ops if op in found and isinstance(op, NodeOp) and (why := self._why(op))}

    def place(self, op: Operation) -> int:
        """Where an operation stands among those of the machine, as they were written."""
        if not self.places:
            self.places.update((each, at) for at, each in enumerate(self.conversion.block.ops))
        return self.places[op]

    def shared(self) -> set[NodeOp]:
        """Nodes that operations of the machine stand for."""
        return {node for op in self.live for node in self.conversion.trails.get(op, ())}

    def _plan_all(self) -> None:
        if self.plans:
            return
        last = _on_host(max((self.level(value) for value in self.outputs), default=0))
        for value in self.outputs:
            level = self.level(value) if self._hosted(value) else last
            if value not in self.arguments:
                self._plan(level).exports[value] = None
                self._need([(value, level)])

    # --- levels ---

    def _hosted(self, value: SSAValue) -> bool:
        """Whether the host makes a value of the graph and holds it."""
        match self.conversion.env.get(value):
            case Host(held):
                return held is value and value not in self.arguments
            case Raw() as raw:
                return raw.source is value and value not in self.arguments
            case Codes() as codes:
                return codes.storage.source is value and value not in self.arguments
            case _:
                return False

    def _on_machine(self, value: SSAValue) -> SSAValue | None:
        """The value of the new block, int8 or float32, that is a value of the graph, if the machine made it."""
        if value in self.conversion.unrounded:
            return self.conversion.unrounded[value]
        meaning = self.conversion.env.get(value)
        return meaning.storage.value if isinstance(meaning, Codes) else None

    def _before(self, value: SSAValue) -> list[SSAValue]:
        """The values, of the old and the new block, that a value of either is made of."""
        if value in self.ports:
            return [self.ports[value].source]
        codes = self._on_machine(value)
        if codes is not None:
            return [codes]
        return list(value.owner.operands) if isinstance(value.owner, Operation) else []

    def level(self, value: SSAValue) -> int:
        """The turns before a value is there."""
        pending = [value]
        while pending:
            current = pending[-1]
            before = self._before(current)
            missing = [each for each in before if each not in self.levels]
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            level = max((self.levels[each] for each in before), default=0)
            if current in self.ports or self._hosted(current):
                level = _on_host(level)
            elif isinstance(current.owner, cnn.CnnOp):
                level += level % 2
            self.levels[current] = level
        return self.levels[value]

    # --- what each region holds ---

    def _plan(self, level: int) -> _Plan:
        return self.plans.setdefault(level, _Plan())

    def _need(self, wanted: list[tuple[SSAValue, int]]) -> None:
        """Plan values that regions read: (value of the graph, level of the region)."""
        while wanted:
            value, level = wanted.pop()
            codes, owner = self._on_machine(value), value.owner
            if codes is not None:
                wanted.extend(self._keep(codes))
            elif self._hosted(value) and self.level(value) < level:
                self._plan(self.level(value)).exports[value] = None
                wanted.append((value, self.level(value)))
            elif isinstance(owner, Operation) and owner not in self._plan(level).nodes:
                self._plan(level).nodes.add(owner)
                wanted.extend((operand, level) for operand in owner.operands)

    def _keep(self, value: SSAValue) -> list[tuple[SSAValue, int]]:
        """Keep a machine value and all that it is made of; what regions have to make for that."""
        found: list[tuple[SSAValue, int]] = []
        pending = [value]
        while pending:
            owner = pending.pop().owner
            if not isinstance(owner, Operation) or owner in self.live:
                continue
            self.live.add(owner)
            port = self.ports.get(owner.results[0])
            if port is not None:
                level = self.level(port.value)
                self._plan(level).ports.append(port)
                found.append((port.source, level))
            else:
                pending.extend(owner.operands)
        return found

    # --- writing ---

    def _region(self, plan: _Plan) -> cnn.HostOp:
        region = HostRegion()
        for argument, new in self.arguments.items():
            if any(argument in op.operands for op in plan.nodes) or any(port.source is argument for port in plan.ports):
                region.inside[argument] = region.argument(new)
        ordered = [op for op in self.old.ops if op in plan.nodes]
        read = [value for op in ordered for value in op.operands]
        for value in (*read, *plan.exports):
            self._received(region, plan, value)
        for op in ordered:
            region.clone(op, self._why(op))
        ports = [port for port in self.conversion.ports if port in plan.ports]
        results = [region.inside[value] for value in plan.exports]
        for port in ports:
            value = region.inside[port.source]
            if port.unsigned:
                value = region.shifted(value, -128, "i8")
            results.append(region.permuted(value, port.factors, port.order, port.dims))
        op = region.finish(results, [*(v.type for v in plan.exports), *(port.value.type for port in ports)])
        self.made.update(zip(plan.exports, op.results, strict=False))
        for port, result in zip(ports, op.results[len(plan.exports) :], strict=True):
            self.made[port.value] = result
        return op

    def _received(self, region: HostRegion, plan: _Plan, value: SSAValue) -> None:
        """Bring a value into a region: what the machine made, in the graph's order; a tensor of an earlier region."""
        meaning, given = self.conversion.env.get(value), self._on_machine(value)
        if value in region.inside or value in self.arguments:
            return
        if value in self.made:
            region.inside[value] = region.argument(self.made[value])
        elif given is not None and isinstance(meaning, Codes | Sums):
            view = meaning.view if isinstance(meaning, Codes) else meaning.result
            outside, element = self.made.get(given, given), "i8" if isinstance(meaning, Codes) else "f32"
            inner = region.inside.get(outside) or region.argument(outside, tensor(view.dims, element))
            have, want = flat(view.memory), flat(view.logical)
            order = tuple(have.index(atom) for atom in want)
            inner = region.permuted(inner, tuple(atom.size for atom in have), order, meaning.shape)
            region.inside[value] = region.shifted(inner, 128, "ui8") if element_of(value) == "ui8" else inner

    def _why(self, op: Operation) -> str:
        """Why a node of the graph stands in a host region; of quantisers, which stand at every edge, only faults."""
        if not isinstance(op, NodeOp):
            return ""
        if op.op_type.data in ("QuantizeLinear", "DequantizeLinear"):
            return self.conversion.hosted[op] if op.host is not None or op in self.conversion.failures else ""
        if op in self.conversion.hosted:
            return self.conversion.hosted[op]
        return ONLY_LEADS

    def _arrange(self, regions: Mapping[int, cnn.HostOp]) -> None:
        """All operations by level, each level in the order in which it was written; constants before their users."""
        block = self.conversion.block
        kept = [op for op in block.ops if op in self.live and op.results[0] not in self.ports]
        placed: list[tuple[int, Operation]] = list(regions.items())
        for op in kept:
            level = self.level(op.results[0])
            if isinstance(op, cnn.ConstantOp):
                users = [use.operation for use in op.output.uses if use.operation in self.live]
                level = min((self.level(user.results[0]) for user in users), default=level)
            placed.append((level, op))
        for op in reversed(list(block.ops)):
            op.detach()
        for value, port in self.ports.items():
            if value in self.made:
                value.replace_all_uses_with(self.made[port.value])
        for _, op in sorted(placed, key=lambda entry: entry[0]):
            block.add_op(op)
        _name_apart(list(regions.values()), self.conversion.names.taken)


def _on_host(level: int) -> int:
    return level + 1 - level % 2


def _name_apart(regions: Sequence[cnn.HostOp], taken: set[str]) -> None:
    """Give regions of one name, and of a layer's name, a number."""
    for op in regions:
        assert op.layer is not None
        stem, number = op.layer.data, 2
        while op.layer.data in taken:
            op.properties["layer"] = StringAttr(f"{stem}{number}")
            number += 1
        taken.add(op.layer.data)
