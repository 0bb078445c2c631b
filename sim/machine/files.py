"""Reading and writing files whole: a file is read only if it has an end, and written in one step or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

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
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ProgramError(f"{path}: cannot be written: {error.strerror}.") from None
