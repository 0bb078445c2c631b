"""Reading and writing files whole: a file is read only if it has an end, and written in one step or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from sim.machine.errors import ProgramError

NO_FILE = "it is no regular file"
"""Why a device or a pipe is not read."""


def read_whole(path: str | Path) -> bytes:
    """The content of a regular file; OSError also for a device or a pipe, which may never end."""
    path = Path(path)
    check_regular(path)
    return path.read_bytes()


def read_text(path: str | Path) -> str:
    """The content of a regular file of UTF-8 text; OSError and UnicodeDecodeError."""
    path = Path(path)
    check_regular(path)
    return path.read_text(encoding="utf-8")


def parse_toml(text: str) -> dict[str, Any]:
    """The content of TOML; ValueError says what is wrong with the text."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None
    except ValueError:  # of Python's own reading of numbers
        raise ValueError("a number has thousands of digits") from None


def check_regular(path: Path) -> None:
    """OSError unless this is a regular file; a folder gets the system's own words."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, NO_FILE, str(path))


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file in one step: readers see the old content or the new, never a part."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe takes bytes, and must not be replaced by a file
            path.write_bytes(data)
            return
        if not _write_unnamed(path, data):
            _write_beside(path, data)
    except OSError as error:
        raise ProgramError(f"{path}: cannot be written: {error.strerror}.") from None


def _write_unnamed(path: Path, data: bytes) -> bool:
    """Write a file that has no name before it is whole, so that nothing is left of it when the process is killed.

    False where the system has no such files (Linux has); nothing has been done then.
    """
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o644)
    except (AttributeError, OSError):
        return False
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        temporary = f"{path}.{os.getpid()}"
        try:
            os.link(f"/proc/self/fd/{handle}", temporary, follow_symlinks=True)
        except OSError:
            return False
    os.replace(temporary, path)
    return True


def _write_beside(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
