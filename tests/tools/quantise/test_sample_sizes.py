"""A small file of samples that unpacks to more than memory is refused with the number, before any of it is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from sim.machine.errors import ReconError
from sim.machine.program import Port
from tools.quantise.samples import from_arrays


def test_what_unpacks_to_too_much(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("x.npy", "y.npy"):
            file.writestr(name, bytes(1000))
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:  # the directory says how much each member unpacks to
        data[at + 24 : at + 28] = (3_000_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ReconError) as caught:
        from_arrays([Port("x", "float32", (1, 3))], path, 10)
    assert str(caught.value) == (
        f"{path}: its arrays take 6,000,000,000 bytes once they are unpacked, and at most 2,147,483,648 are read; give "
        "fewer samples."
    )
