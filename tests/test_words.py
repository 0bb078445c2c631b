"""One word means one thing: no class name is defined in two rooms, but where two say the same on purpose."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("backend", "dialects", "passes", "sim", "tools")

SAME = {
    "Box": "Rows × columns of runs of bytes: the machine, the waits and the proof for every input each compute with "
    "boxes of their own, so that one's mistake is not the others'.",
    "Window": "A sliding window over rows and columns: the proof for every input shares no code with the engine.",
}
"""Words that several rooms define, why each means the same in all of them and yet is not one class; no other joins."""

IR = re.compile(r"\w+(Op|Attr|Type)")
"""Operations, attributes and types are called what their dialect calls them: ``tile.load`` is tile.LoadOp."""


def classes() -> dict[str, list[str]]:
    """Public classes by name, with the files that define them."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    return found


def test_a_class_name_means_one_thing() -> None:
    twice = {
        name: files
        for name, files in classes().items()
        if len(files) > 1 and not (IR.fullmatch(name) and all(Path(file).parent.name == "dialects" for file in files))
    }
    assert sorted(twice) == sorted(SAME), twice
    assert len(SAME) <= 2
