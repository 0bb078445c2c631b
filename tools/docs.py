"""Writes what can be derived into the documentation: ``python -m tools.docs``; ``--check`` only compares.

A page holds ``<!-- generated: NAME -->`` … ``<!-- end -->``; what stands between is replaced by the text of the
function below of that name. A test fails while a committed page is not current.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from passes.pipeline import Entry
from tools.dialect_pages import generators

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))

_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def machines() -> str:
    """The machines that come with the project, side by side: the keys in which they differ."""
    from sim.machine.description import load, names, schema_rows

    loaded = [load(name) for name in names()]
    rows: list[list[str]] = []
    for key, _, _ in schema_rows():
        values: list[object] = []
        for machine in loaded:
            value: object = machine
            for part in key.split("."):
                value = getattr(value, part)
            values.append(value)
        if key not in ("name", "description") and len(set(values)) > 1:
            rows.append([f"`{key}`", *(_value(value) for value in values)])
    return _table(["key", *(f"`{machine.name}`" for machine in loaded)], rows)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) or "any" if isinstance(value, tuple) else str(value)


def machine_keys() -> str:
    """Every key of a machine file."""
    from sim.machine.description import schema_rows

    return _table(["key", "type", "meaning"], [[f"`{key}`", kind, doc] for key, kind, doc in schema_rows()])


def isa() -> str:
    """Every instruction with its fields."""
    from sim.machine.encoding import layout
    from sim.machine.isa import INSTRUCTIONS, documentation

    parts: list[str] = []
    for row in INSTRUCTIONS:
        fields = [[f"`{name}`", kind, limits, doc] for name, kind, limits, doc in documentation(row)]
        parts.append(
            f"## `{row.name}`\n\n"
            f"Opcode {row.opcode}, queue `{row.queue}`, {layout(row.opcode).itemsize} bytes. {row.doc}"
            + ("\n\n" + _table(["field", "type", "range", "meaning"], fields) if fields else "")
        )
    return "\n\n".join(parts)


def operations() -> str:
    """Every operation of the vector unit with its facts."""
    from sim.machine.operations import OPERATIONS

    rows = [
        [str(number), f"`{row.name}`", row.doc, row.facts, ", ".join(f"`{name}`" for name in row.numbers) or "-"]
        for number, row in enumerate(OPERATIONS)
    ]
    return _table(["op", "operation", "computes", "facts", "numbers"], rows)


def stats() -> str:
    """Every entry of the statistics."""
    from sim.statistics import schema_rows

    return _table(["entry", "type", "meaning"], [[f"`{key}`", kind, doc] for key, kind, doc in schema_rows()])


def passes() -> str:
    """Every pass in order, with its level, options and first sentence."""
    import dataclasses

    from passes.pipeline import PIPELINE

    rows: list[list[str]] = []
    for entry in PIPELINE:
        kind = entry.load()
        options = ", ".join(f"`{field.name.replace('_', '-')}`" for field in dataclasses.fields(kind))
        rows.append([f"`{entry.name}`" + _when(entry), entry.level, options or "-",
                     _first_sentence(kind)])  # fmt: skip
    return _table(["pass", "level", "options", "does"], rows)


def _when(entry: Entry) -> str:
    if entry.when:
        return f" (with `--{entry.when.replace('_', '-')}`)"
    return "" if entry.default else " (on request)"


def dialects() -> str:
    """Every operation of our dialects, with its first sentence."""
    from tools.registry import get_all_dialects

    parts: list[str] = []
    for name, factory in get_all_dialects().items():
        rows = [[f"`{op.name}`", _first_sentence(op)] for op in factory().operations]
        parts.append(f"### `{name}`\n\n" + _table(["operation", "meaning"], rows))
    return "\n\n".join(parts)


def _first_sentence(thing: type) -> str:
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text)[0].replace("``", "`")


def operators() -> str:
    """Every operator of ONNX that has a form on the machine."""
    from tools.reports.operators import rows

    return _table(["operator", "runs as", "what is taken"], [[f"`{r.operator}`", r.place, r.taken] for r in rows()])


def limits() -> str:
    """What every layer has to keep."""
    from tools.reports.operators import limits

    return _table(["limit", "what is told"], [list(row) for row in limits()])


def host_operators() -> str:
    """The operators that only the host has."""
    from tools.reports.operators import on_host

    return ", ".join(f"`{name}`" for name in on_host()) + "."


def make_run() -> str:
    """What ``make run`` prints, the table cut short."""
    import tempfile
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    from tools.main import main as recon

    output = StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    examples = ROOT / "examples"
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(output), redirect_stderr(StringIO()):
        program = f"{folder}/vww.rbin"
        recon(["compile", "-q", str(examples / "mobilenetv1_vww_int8.onnx"), "-o", program], exits=False)
        recon(["run", program, "--input", str(examples / "astronaut.png"),
               "--labels", str(examples / "vww_labels.txt")], exits=False)  # fmt: skip
    if before is None:
        os.environ.pop("COLUMNS")
    else:
        os.environ["COLUMNS"] = before
    lines = output.getvalue().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("layer "))
    legend = next(number for number, line in enumerate(lines) if line.startswith("channels in"))
    lines[start + 6 : legend - 1] = [f"… {legend - start - 7} more"]
    return "```\n$ make run\n" + "\n".join(lines) + "\n```"


GENERATED: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        machines,
        machine_keys,
        isa,
        operations,
        stats,
        passes,
        dialects,
        operators,
        limits,
        host_operators,
        make_run,
    )
} | generators()
"""What pages may hold, by name."""


def render(text: str) -> str:
    """A page with its generated parts current; KeyError for a part that nobody generates."""
    return _BLOCK.sub(lambda block: f"{block[1]}{GENERATED[block[2]]()}\n{block[3]}", text)


def main(arguments: Sequence[str]) -> int:
    """Rewrite the pages, or with ``--check`` say which are not current; the exit code."""
    stale = 0
    for path in PAGES:
        old = path.read_text(encoding="utf-8")
        new = render(old)
        if new != old:
            stale += 1
            print(f"{path.name} {'is not current' if '--check' in arguments else 'written'}")
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
