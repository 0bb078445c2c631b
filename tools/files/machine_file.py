"""A machine file to start one's own from: every key with its meaning beside it, sizes as people write them."""

from __future__ import annotations

import json
from typing import Any

from sim.machine.description import Machine, schema_rows

_COLUMN = 40
"""Where the comments begin."""


def machine_text(machine: Machine, name: str, base: str) -> str:
    """The TOML of a machine under another name; reading it gives the same machine but for name and sentence."""
    description: dict[str, Any] = {**machine.to_json(), "name": name, "description": f"Begun from {base}."}
    lines = [f"# A machine of your own, begun from {base}. 'recon machines FILE' shows what it says."]
    inside = ""
    for key, kind, doc in schema_rows():
        section, _, field = key.rpartition(".")
        if section != inside:
            inside = section
            lines += ["", f"[{section}]"]
        value = description[section][field] if section else description[field]
        allowed = f" ({kind.replace(' | ', ', ')})" if "|" in kind else ""
        assignment = f"{field} = {_toml(field, value)}"
        if len(assignment) < _COLUMN:
            lines.append(f"{assignment:<{_COLUMN}}# {doc}{allowed}")
        else:
            lines += [f"# {doc}{allowed}", assignment]
    return "\n".join(lines) + "\n"


def _toml(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return _size(value) if field.endswith("bytes") else f"{value:_}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(json.dumps(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _size(number: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if number and number % size == 0:
            return f'"{number // size}{unit}"'
    return f"{number:_}"
