"""Where a command may write without ``--force``: not over what it reads, nor over what it could not have written.

A name slips easily (``-o MODEL.onnx``), and a model cannot be made again. What a command could have written, its older
output, is no loss; an empty file, a device or a pipe neither.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.machine.errors import ReconError
from sim.machine.program import is_program


@dataclass(frozen=True)
class Kind:
    """What a command writes: its name in messages, and whether bytes are of that kind."""

    name: str
    own: Callable[[bytes], bool]


def _json_with(*keys: str) -> Callable[[bytes], bool]:
    def own(data: bytes) -> bool:
        try:
            content: Any = json.loads(data)
        except ValueError:
            return False
        return isinstance(content, dict) and set(keys) <= set(content)

    return own


def _listing(data: bytes) -> bool:
    return data.startswith(b"; ") and b"\n.segment " in data


def _ir(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return (
        re.search(r"^\s*(builtin\.module|func\.func|(onnx|cnn|tile|accel|recon)\.\w)", text, re.MULTILINE) is not None
    )


def _constants(data: bytes) -> bool:
    size = int.from_bytes(data[:8], "little")
    try:
        names = json.loads(data[8 : 8 + size])
    except ValueError:
        return False
    hexadecimal = set(string.hexdigits)
    return isinstance(names, dict) and all(len(name) == 64 and set(name) <= hexadecimal for name in names)


PROGRAM = Kind("program of recon", is_program)
LISTING = Kind("listing of 'recon disassemble'", _listing)
IR = Kind("text of the compiler's levels", _ir)
CONSTANTS = Kind("side file of constants", _constants)
STATISTICS = Kind("file of statistics", _json_with("version", "model", "layers"))
COMPARISON = Kind("comparison", _json_with("model", "machines", "ablations"))
CHANGES = Kind("comparison of two runs", _json_with("before", "after", "layers"))
COMPARISON_PAGE = Kind("page of 'recon compare'", lambda data: b'content="recon compare"' in data[:500])
REPORT = Kind("page of 'recon report'", lambda data: b'content="recon report"' in data[:500])
INTENSITY = Kind("chart of 'recon roofline'", lambda data: b"recon roofline" in data[:1500])
EXPLORATION = Kind("page of 'recon explore'", lambda data: b'content="recon explore"' in data[:500])
ROWS = Kind("table of 'recon explore'", lambda data: data.startswith(b"key,model,"))
STORE = Kind("store of 'recon explore'", lambda data: data.startswith(b"SQLite format 3\0"))
RECORDS = Kind("file of records", _json_with("statistics", "layers", "steps"))
TRACE = Kind("trace of 'recon run'", lambda data: b"recon run --trace" in data[:500])
ARRAY = Kind(".npy file", lambda data: data.startswith(b"\x93NUMPY"))
QUANTISED = Kind("model of 'recon quantize'", lambda data: b"recon quantize" in data[:64])
MACHINE = Kind("machine file", lambda data: b"clock_hz" in data and b"[array]" in data)


def check_writable(
    option: str, path: Path | None, kind: Kind, reads: Iterable[str | Path | None], force: bool = False
) -> None:
    """ReconError unless ``path`` can be written without loss; ``option`` names it.

    ``reads`` are the files that the command reads. A path of None is not written, and a file of None is not read.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise ReconError(f"{path}: cannot be written: there is no folder {path.parent}.")
    if path.is_dir():
        raise ReconError(f"{path}: cannot be written: this is a folder.")
    if force or not path.is_file():
        return
    if any(each is not None and Path(each).exists() and path.samefile(each) for each in reads):
        raise ReconError(
            f"{option} {path}: the command reads this file and would write over it; give another name, or --force."
        )
    data = path.read_bytes() if path.stat().st_size else b""
    if data and not kind.own(data):
        raise ReconError(
            f"{option} {path}: there is such a file already, and it is no {kind.name}; give another name, or --force "
            "to write over it."
        )
