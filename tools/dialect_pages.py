"""The pages of the dialects: per operation its text, an example, operands, attributes, rules and cost.

Everything comes from the definitions: the text from the assembly format, operands and attributes from their
declarations, the rules from the sentences that the verifiers raise, read out of their source, and the example from
``docs/dialects/NAME.mlir``, a module that runs. Operations whose text is written by hand state it here, and what an
operation costs is stated here for the two levels that are no instructions.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from xdsl.ir import Dialect, Operation, TypeAttribute
from xdsl.irdl import IRDLOperation, OpDef, OptionalDef, VariadicDef
from xdsl.irdl.constraints import AttrConstraint

from tools.registry import get_all_dialects

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "dialects"

SYNTAX: dict[str, str] = {
    "tile.schedule": '@NAME machine "MACHINE" (%in: DRAM TYPE, …) -> (%out: DRAM TYPE, …) { … }',
    "tile.for": "%i = LOWER to UPPER step STEP { … }",
    "tile.load": "%sram[OFFSETS] [SIZES] from %dram[OFFSETS] [layer @LAYER]",
    "tile.store": "%dram[OFFSETS] [SIZES] from %sram[OFFSETS] [layer @LAYER]",
    "tile.fill": "half 0|1 %weights[OFFSETS] [SIZES] for <CONFIGURATION> [groups N] [zero N] [layer @LAYER]",
    "tile.conv": "%output[OFFSETS] [SIZES] = %input[CHANNEL] [CHANNELS], %half window <WINDOW> [groups N] "
    "[pad_value N] [accumulate] [params %params[CHANNEL] requantize <zero N clamp LO HI>] [float] "
    "[add %residual[CHANNEL] <first|second|wide ratios RA RB FIX clamp LO HI>] [table %table] [layer @LAYER]",
    "tile.vector": "OPERATION %output[OFFSETS] [SIZES] = %lhs[CHANNEL][, %rhs[CHANNEL]] [window <WINDOW>] "
    "[params %params[CHANNEL]] [table %table] [law <floats RA RB FIX ALPHA BETA BIAS zeros ZA ZB Z clamp LO HI "
    "size N>] [layer @LAYER]",
    "tile.move": "%output[ROW, COLUMN, CHANNEL] by row|column N, row|column N = %input[…] by … sizes [N, N, CHANNELS] "
    "[layer @LAYER]",
    "accel.program": '@NAME machine "MACHINE" [cycles N] { … }',
    "accel.dram": 'input "NAME" SHAPExi8 | output "NAME" SHAPExi8 | scratch SHAPExi8 | constant <BLOB> | image '
    "<CONFIGURATION> SHAPExi8, each [at ADDRESS]",
    "accel.buffer": "BYTES [plan FIRST LAST] [at ADDRESS]",
}
"""The text of operations that parse and print by hand; parts in brackets may be left out."""

INSTRUCTION = "PLACE(%memory + OFFSET) … {FIELD = VALUE, …} [after(%event, …)] [waits <QUEUE N, …>] [layer @LAYER]"
"""The text of every instruction."""

COST: dict[str, str] = {
    "cnn.conv2d": "The array: macs over the lanes of its configuration, or the bytes of its weights.",
    "cnn.fully_connected": "The array; usually the bytes of its weights.",
    "cnn.constant": "Its bytes from DRAM.",
    "cnn.host": "The host, and in no cycle; the bytes across.",
    "cnn.yield": "Nothing.",
    "cnn.reshape": "Nothing: another view of the same bytes.",
    "cnn.concat": "Nothing where its parts are written into channels of one buffer, else a copy.",
    "cnn.slice": "Nothing where it is an offset of its operand, else a copy.",
    "cnn.channel_shuffle": "The vector unit.",
    "cnn.transpose": "A copy by the vector unit.",
    "cnn.select": "Copies by the vector unit.",
    "cnn.interleave": "Nothing where its parts are written into one buffer with strides, else copies.",
    "cnn.sub": "The vector unit, by the law of `add`.",
    "cnn.pad": "Nothing in front of a window that takes it, else the vector unit.",
    "tile.schedule": "What is in it.",
    "tile.constant": "Its bytes of DRAM; loads bring them.",
    "tile.dram": "Its bytes of DRAM.",
    "tile.image": "Its bytes of DRAM.",
    "tile.alloc": "Its bytes of SRAM until its free.",
    "tile.view": "Nothing.",
    "tile.free": "Nothing.",
    "tile.for": "Its body in every turn.",
    "tile.frame": "Nothing; what stands above it runs once for all frames.",
    "accel.program": "What is in it.",
    "accel.dram": "Its bytes of DRAM.",
    "accel.buffer": "Its bytes of SRAM in its life.",
    "accel.frame": "Nothing; what stands above it runs once for all frames.",
}
"""What operations cost that are no instruction, and of the cnn level what they become."""

_VECTOR = "The vector unit: its elements over 256 a cycle, or as its law of time says."


def page(name: str) -> str:
    """Every operation of a dialect."""
    dialect = get_all_dialects()[name]()
    examples = _examples(name)
    return "\n\n".join(_section(op, examples.get(op.name, "")) for op in dialect.operations)


def attributes_page(name: str) -> str:
    """Every type and attribute of a dialect: its text, and the rules that its verifier knows."""
    rows: list[str] = []
    for attribute in get_all_dialects()[name]().attributes:
        mark = "!" if issubclass(attribute, TypeAttribute) else "#"
        doc = re.sub(r"\s*\n\s*\n\s*", "\n\n", (inspect.getdoc(attribute) or "").replace("``", "`"))
        paragraphs = [" ".join(paragraph.split()) for paragraph in doc.split("\n\n")]
        verify = inspect.getattr_static(attribute, "verify", None)
        ours = isinstance(verify, FunctionType) and verify.__module__.startswith("dialects.")
        rules = [f"* rule: {sentence}" for sentence in (raised_in(verify) if ours else []) if sentence != "…"]
        rows += [f"### `{mark}{attribute.name}`", *paragraphs, *(["\n".join(rules)] if rules else [])]
    return "\n\n".join(rows)


def example_module(name: str) -> str:
    """The text of the module that holds the dialect's examples."""
    return (EXAMPLES / f"{name}.mlir").read_text(encoding="utf-8")


def _section(op: type[Operation], example: str) -> str:
    assert issubclass(op, IRDLOperation)
    definition = op.get_irdl_definition()
    doc = " ".join((inspect.getdoc(op) or "").replace("``", "`").split())
    rows = [f"### `{op.name}`", doc, f"```text\n{op.name} {_syntax(op, definition)}\n```"]
    if example:
        rows.append(f"```mlir\n{example}\n```")
    listed = [
        f"* operands: {_operands(definition)}" if definition.operands else "",
        f"* attributes: {_attributes(definition)}" if _attributes(definition) else "",
        f"* results: {_results(definition)}" if definition.results else "",
        *(f"* rule: {sentence}" for sentence in sentences(op)),
        f"* cost: {cost(op)}",
    ]
    return "\n\n".join([*rows, "\n".join(filter(None, listed))])


# ------------------------------------------------------------------------------------------------------------ parts


def _syntax(op: type[Operation], definition: OpDef) -> str:
    if definition.assembly_format is not None:
        return _readable(definition.assembly_format)
    return SYNTAX.get(op.name, INSTRUCTION)


def _readable(text: str) -> str:
    """An assembly format as people write the operation."""
    text = text.replace("custom<ImpliedTypes>(functional-type(operands, results))", "[-> TYPE]")
    text = text.replace("functional-type(operands, results)", "(TYPES) -> TYPES").replace("attr-dict", "[{ATTRIBUTES}]")
    text = re.sub(r"type\(\$\w+\)", "TYPE", text)
    text = re.sub(r"\(([^()]*)\)\?", lambda group: f"[{group[1].replace('^', '').strip()}]", text)
    text = re.sub(r"\$(\w+)", lambda name: name[1].upper(), text).replace("`", "")
    return " ".join(text.split())


def _operands(definition: OpDef) -> str:
    return ", ".join(f"`{name}`{_many(one)}{_kind(one.constr)}" for name, one in definition.operands)


def _results(definition: OpDef) -> str:
    return ", ".join(f"`{name}`{_many(one)}{_kind(one.constr)}" for name, one in definition.results)


def _attributes(definition: OpDef) -> str:
    shown: list[str] = []
    for name, one in definition.properties.items():
        if name == "operandSegmentSizes":
            continue
        default = f", normally `{one.default_value}`" if one.default_value is not None else ""
        optional = ", may be left out" if isinstance(one, OptionalDef) and not default else ""
        shown.append(f"`{name}`{_kind(one.constr)}{default}{optional}")
    return "; ".join(shown)


def _many(one: Any) -> str:
    if isinstance(one, OptionalDef):
        return " (may be left out)"
    return " (any number)" if isinstance(one, VariadicDef) else ""


def _kind(constraint: AttrConstraint | Any) -> str:
    names: list[tuple[str, str]] = list(re.findall(r"BaseAttr\((\w+)\)|ParamAttrConstraint\((\w+)", str(constraint)))
    found = [_KINDS.get(str(a or b), str(a or b)) for a, b in names]
    return f" ({' or '.join(dict.fromkeys(found))})" if found else ""


_KINDS = {
    "TensorType": "!cnn.tensor",
    "FloatType": "!cnn.float",
    "SramType": "!tile.sram",
    "DramType": "!tile.dram",
    "BlobAttr": "a constant",
    "StringAttr": "text",
    "IntegerAttr": "a whole number",
    "FloatAttr": "a number",
    "DenseArrayBase": "whole numbers",
    "WindowAttr": "a window",
    "ClampAttr": "a clamp",
    "QuantAttr": "scale and zero point",
    "SumAttr": "a sum",
    "ConfigurationAttr": "a configuration",
    "SliceAttr": "a box",
    "SymbolRefAttr": "a symbol",
    "RequantizeAttr": "zero point and clamp",
    "VectorLawAttr": "the numbers of a law",
    "WalkAttr": "a walk",
    "UnitAttr": "a word",
    "FieldsAttr": "the fields of its instruction",
    "PlacesAttr": "the address fields of its operands",
    "WaitsAttr": "counts of queues",
}


def cost(op: type[Operation]) -> str:
    """What the operation costs: of an instruction, its queue."""
    from sim.machine.isa import BY_NAME
    from sim.machine.operations import OPERATIONS

    mnemonic = {"use": "configure", "move": "vector"}.get(op.name.partition(".")[2], op.name.partition(".")[2])
    if not op.name.startswith("cnn.") and mnemonic in BY_NAME:
        return f"One `{mnemonic}` instruction of the queue `{BY_NAME[mnemonic].queue}` ([isa.md](../isa.md))."
    if op.name in COST:
        return COST[op.name]
    known = {row.name for row in OPERATIONS}
    name = op.name.partition(".")[2].removesuffix("2d")
    assert name in known, f"what does {op.name} cost?"
    return _VECTOR


# ---------------------------------------------------------------------------------------------------------- sentences


def sentences(op: type[Operation]) -> list[str]:
    """What the operation's verifiers may say, in the order of their rules; values stand as ``…``."""
    found: dict[str, None] = {}
    for kind in op.__mro__:
        for name, given in vars(kind).items():
            function = _own(given)
            if not isinstance(function, FunctionType) or not function.__module__.startswith("dialects."):
                continue
            if re.fullmatch(r"_?verify\w*", name):
                found.update(dict.fromkeys(_raised(function, set())))
    return list(found)


def _own(function: object) -> object:
    """The verifier as it is written: xDSL puts one of its own around that of an operation."""
    cells = function.__closure__ or () if isinstance(function, FunctionType) else ()
    inner = (cell.cell_contents for cell in cells)
    return next((one for one in inner if isinstance(one, FunctionType) and one.__name__ == "verify_"), function)


def raised_in(function: FunctionType) -> list[str]:
    """The sentences that a check may say."""
    return list(dict.fromkeys(_raised(function, set())))


def _raised(function: FunctionType, seen: set[FunctionType]) -> Iterator[str]:
    """The sentences of VerifyException in a function and in the functions of ours that it calls."""
    if function in seen:
        return
    seen.add(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called == "VerifyException":
            yield _sentence(node.args[0])
        elif called == "between":
            what, low, high = node.args[0], node.args[2], node.args[3]
            yield f"{_sentence(what)} is …, and {_sentence(low)} to {_sentence(high)} are allowed"
        else:
            target = function.__globals__.get(called)
            target = getattr(target, "__wrapped__", target)
            if isinstance(target, FunctionType) and target.__module__.startswith("dialects."):
                yield from _raised(target, seen)


def _sentence(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        return f"-{node.operand.value}"
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return "…"


# ----------------------------------------------------------------------------------------------------------- examples


def _examples(name: str) -> dict[str, str]:
    """By operation the lines of the dialect's module at which it stands first."""
    lines = example_module(name).splitlines()
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        called = re.match(rf"\s*(?:[%\w, ]+ = )?({name}\.\w+)", line)
        if called is None or called[1] in found:
            continue
        own = [line.strip()]
        indent = len(line) - len(line.lstrip())
        for rest in lines[number + 1 :]:
            deeper = len(rest) - len(rest.lstrip()) > indent + 2
            if not deeper or own[-1].endswith("{"):
                break
            own.append("    " + rest.strip())
        found[called[1]] = "\n".join(own)
    return found


def generators() -> dict[str, Callable[[], str]]:
    """By name what the pages of the dialects hold."""
    made: dict[str, Callable[[], str]] = {}
    for name in ("cnn", "tile", "accel"):
        made[f"{name}_operations"] = lambda name=name: page(name)
        made[f"{name}_attributes"] = lambda name=name: attributes_page(name)
    return made


def dialects_with_pages() -> dict[str, Dialect]:
    """The dialects that have a page."""
    return {name: get_all_dialects()[name]() for name in ("cnn", "tile", "accel")}
