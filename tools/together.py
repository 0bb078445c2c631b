"""Several networks on one machine, taking turns: one program, one round of which is every network once or more often.

Each network goes down to the ``cnn`` level by itself; there nothing of one meets anything of another, and the functions
are written into one: what the host does first, all layers, what the host does last. Names are told apart by the
network's own in front. The planner sees one network of several parts, so all of them share SRAM and what stays in it;
one that takes several turns in a round is there as often, with one set of weights (``passes/planner/copies.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects import cnn
from dialects.onnx_export import input_names, main_function, opsets_of, output_names
from passes.common.levels import LEVELS, level_of
from passes.common.notes import NOTES
from sim.machine.description import load
from sim.machine.errors import ReconError
from sim.machine.program import Program
from tools.driver import DEFAULT_MACHINE, Report, lower, make_context, read_module
from tools.options import Planning

NAMED = ("layer", "nodes")
"""Properties of an operation that hold names."""


@dataclass(frozen=True)
class NetworkTurn:
    """A network of a round: how often it runs in it, and the cycles it takes when the machine is its own."""

    name: str
    times: int
    cycles: float


@dataclass(frozen=True)
class NetworkRound:
    """Networks that take turns: their program, a frame of which is a round, and each by itself."""

    program: Program
    turns: tuple[NetworkTurn, ...]

    @property
    def cycles(self) -> float:
        """Cycles of a round: in the long run of many, or of the only one."""
        return cycles_of(self.program)

    @property
    def change(self) -> float:
        """Cycles of a round beyond those of its networks if each had the machine to itself: what turns cost."""
        return self.cycles - sum(turn.times * turn.cycles for turn in self.turns)

    def lines(self) -> list[str]:
        """What to say of it: the round, every network's rate, and what changing from one to the other costs."""
        rounds = self.program.machine.clock_hz / self.cycles
        found = [f"a round of {len(self.turns)} networks takes {self.cycles:,.0f} cycles, {rounds:,.1f} per second"]
        for turn in self.turns:
            often = "once" if turn.times == 1 else f"{turn.times} times"
            found.append(
                f"{turn.name}: {often} a round, {turn.times * rounds:,.1f} per second; with the machine to itself "
                f"{turn.cycles:,.0f} cycles each"
            )
        verb = "costs" if self.change >= 0 else "saves"
        part = 100 * abs(self.change) / self.cycles
        found.append(f"taking turns {verb} {abs(self.change):,.0f} cycles a round, {part:.1f} % of it")
        return found


def cycles_of(program: Program) -> float:
    """Cycles of one frame as the compiler predicts them: of the only one, or in the long run of many."""
    rhythm = program.rhythm
    return program.predicted_cycles if rhythm is None else rhythm.cycles / (rhythm.period * program.batch)


def turns_of(texts: Sequence[str]) -> dict[str, int]:
    """``NAME=N`` as turns by network; ReconError says what is wrong with one."""
    found: dict[str, int] = {}
    for text in texts:
        name, equals, count = text.rpartition("=")
        if not equals or not name or not count.isdecimal():
            raise ReconError(f"--times {text}: write NAME=N, a network and how often it runs in a round.")
        if name in found:
            raise ReconError(f"--times: the network '{name}' is given twice.")
        found[name] = int(count)
    return found


def compile_together(
    models: Sequence[str | Path],
    times: Mapping[str, int],
    machine: str | None = None,
    assume_int8: bool = False,
    options: Planning | None = None,
    report: Report | None = None,
) -> NetworkRound:
    """Compile several models, named after their files, to one program; ``times`` says how often a round runs one (once
    if it is not named). ReconError for what does not compile, and for networks that cannot be told apart."""
    options, machine = options or Planning(), machine or DEFAULT_MACHINE
    options.usable(load(machine))
    names = [Path(model).stem for model in models]
    _check(models, names, times)
    context = make_context()
    modules: list[ModuleOp] = []
    turns: list[NetworkTurn] = []
    for name, model in zip(names, models, strict=True):
        module = read_module(model, context)
        if LEVELS.index(level_of(module)) > LEVELS.index("cnn"):
            raise ReconError(f"{model}: this is a plan of its own; networks take turns that are planned together.")
        lower(module, "cnn", context, machine=machine, assume_int8=assume_int8, report=report, options=options)
        modules.append(module)
        alone = _program(module.clone(), machine, options, report)
        turns.append(NetworkTurn(name, times.get(name, 1), cycles_of(alone)))
    whole = _joined(modules, turns)
    return NetworkRound(_program(whole, machine, options, report), tuple(turns))


def _program(module: ModuleOp, machine: str, options: Planning, report: Report | None) -> Program:
    from backend.emit import emit

    lower(module, "accel", make_context(), machine=machine, options=options, report=report)
    return emit(module, machine)


def _check(models: Sequence[str | Path], names: Sequence[str], times: Mapping[str, int]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        where = ", ".join(str(model) for model, name in zip(models, names, strict=True) if name == twice)
        raise ReconError(f"Two networks are called '{twice}' ({where}); files of different names tell them apart.")
    for name, count in times.items():
        if name not in names:
            raise ReconError(f"--times {name}={count}: there is no network '{name}'; there are {', '.join(names)}.")
        if count < 1:
            raise ReconError(f"--times {name}={count}: a network takes at least one turn.")


def _joined(modules: Sequence[ModuleOp], turns: Sequence[NetworkTurn]) -> ModuleOp:
    """One module with the functions of all, each as often as it takes turns."""
    opsets = [opsets_of(module) for module in modules]
    if any(found != opsets[0] for found in opsets):
        raise ReconError("Networks that take turns must have the same opset versions: what the host runs is one model.")
    writer = _Writer()
    for module, turn in zip(modules, turns, strict=True):
        for number in range(turn.times):
            writer.add(main_function(module), turn.name, f".{number}" if turn.times > 1 else "")
    whole = ModuleOp([writer.function()])
    whole.attributes["recon.model"] = StringAttr("+".join(turn.name for turn in turns))
    whole.attributes |= {key: value for key, value in modules[0].attributes.items() if key == "onnx.opsets"}
    notes = [
        StringAttr(f"{turn.name}: {note.data}")
        for module, turn in zip(modules, turns, strict=True)
        for note in _strings(module.attributes.get(NOTES))
    ]
    if notes:
        whole.attributes[NOTES] = ArrayAttr(notes)
    return whole


def _strings(attribute: Attribute | None) -> list[StringAttr]:
    found = attribute.data if isinstance(attribute, ArrayAttr) else ()
    return [each for each in found if isinstance(each, StringAttr)]


class _Writer:
    """The one function while networks are written into it."""

    def __init__(self) -> None:
        self.block = Block()
        self.first: list[Operation] = []
        self.layers: list[Operation] = []
        self.last: list[Operation] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.values: list[SSAValue] = []

    def add(self, function: FuncOp, name: str, number: str) -> None:
        """A turn of a network; ReconError where the host would interrupt it."""
        mapped: dict[SSAValue, SSAValue] = {}
        for argument, given in zip(function.body.block.args, input_names(function), strict=True):
            mapped[argument] = self.block.insert_arg(argument.type, len(self.block.args))
            self.inputs.append(f"{name}/{given}{number}")
        self.outputs += [f"{name}/{given}{number}" for given in output_names(function)]
        made: set[SSAValue] = set()
        """Values that the machine makes, or the host of them."""
        for op in function.body.block.ops:
            if isinstance(op, ReturnOp):
                self.values += [mapped.get(value, value) for value in op.operands]
                continue
            copy = op.clone(mapped)
            _rename(copy, name, number)
            if not isinstance(op, cnn.HostOp):
                if any(value.owner in self.last for value in copy.operands):
                    raise ReconError(
                        f"Network {name}: the host computes between layers of the machine ({_name(op)} waits for it), "
                        "so it cannot take turns; 'recon check' says what the host runs."
                    )
                self.layers.append(copy)
                made |= set(copy.results)
            elif made & set(copy.operands):
                self.last.append(copy)
                made |= set(copy.results)
            else:
                self.first.append(copy)

    def function(self) -> FuncOp:
        """The function of all that was added."""
        self.block.add_ops([*self.first, *self.layers, *self.last, ReturnOp(*self.values)])
        kinds = [argument.type for argument in self.block.args], [value.type for value in self.values]
        function = FuncOp("main", kinds, Region(self.block))
        function.attributes["inputs"] = ArrayAttr([StringAttr(name) for name in self.inputs])
        function.attributes["outputs"] = ArrayAttr([StringAttr(name) for name in self.outputs])
        return function


def _name(op: Operation) -> str:
    layer = op.properties.get("layer")
    return layer.data if isinstance(layer, StringAttr) else op.name


def _rename(op: Operation, name: str, number: str) -> None:
    """Tell the names of a layer and of its nodes apart from those of other networks, and of other turns."""
    for key in NAMED:
        held = op.properties.get(key)
        if isinstance(held, StringAttr):
            op.properties[key] = StringAttr(f"{name}/{held.data}{number}")
        elif isinstance(held, ArrayAttr):
            op.properties[key] = ArrayAttr([StringAttr(f"{name}/{each.data}{number}") for each in _strings(held)])
