"""Programs, texts, machines, side files and inputs that ask for much, or that are not what they claim to be."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sim.machine.assembly import assemble
from sim.machine.description import MACHINES
from sim.machine.encoding import encode
from tests.attacks.programs import picture_program, small_program, with_code
from tests.conftest import ROOT
from tests.mutations.heads import joined, parts_of

Maker = Callable[[Path], Sequence[str]]


def _written(name: str, data: bytes, *command: str) -> Maker:
    """A file of these bytes, and the command."""

    def maker(folder: Path) -> Sequence[str]:
        (folder / name).write_bytes(data)
        return command

    return maker


def _linked(name: str, *command: str) -> Maker:
    def maker(folder: Path) -> Sequence[str]:
        os.symlink("/dev/zero", folder / name)
        return command

    return maker


# --------------------------------------------------------------------------------------------------------- programs


def _instruction(text: str, *command: str) -> Maker:
    """The small program with one instruction more, the first."""

    def maker(folder: Path) -> Sequence[str]:
        with_code(small_program(), encode(assemble(text))).save(folder / "x.rbin")
        return command

    return maker


RUN, TIMED = ("recon", "run", "x.rbin"), ("recon", "run", "x.rbin", "--timing-only")
SANITIZED = ("recon", "run", "x.rbin", "--sanitize")
LOAD, STORE = "load bytes=1 count1=16777216 count2=4096", "store bytes=1 count1=16777216 count2=16777216"
FILL = "fill groups=1048576 outputs=1048576 inputs=1 fy=255 fx=255"
CONV = ("conv groups=1048576 outputs=1048576 inputs=1048576 fy=255 fx=255 oy=65535 ox=65535 first=1 last=1 lo=-128 "
        "hi=127")  # fmt: skip
COPY = "vector op=copy oy=65535 ox=65535 channels=16777216 ra=1.0"


def _head(**entries: Any) -> Maker:
    """The small program with other entries in its head, and a checksum that fits."""

    def maker(folder: Path) -> Sequence[str]:
        header, head, rest = parts_of(small_program().to_bytes())
        (folder / "x.rbin").write_bytes(joined(header, head | entries, rest, seal=True))
        return RUN

    return maker


def _deep_head(folder: Path) -> Sequence[str]:
    data = b'{"a":' * 100_000
    (folder / "x.rbin").write_bytes(struct.pack("<Q", len(data)) + data)
    return RUN


# ------------------------------------------------------------------------------------------------------------ texts


def _text(data: bytes, *more: str) -> Maker:
    return _written("x.mlir", data, "recon-opt", "x.mlir", *more)


MIXED = b"""func.func @main(%x: !cnn.tensor<1x4x4x4, scale 0.5, zero 0>) -> !cnn.tensor<1x4x4x4, scale 0.5, zero 0> {
  %y = cnn.add %x, %x layer "a" : !cnn.tensor<1x4x4x4, scale 0.5, zero 0>
  func.return %y : !cnn.tensor<1x4x4x4, scale 0.5, zero 0>
}
tile.schedule @s machine "edge4k" () -> () {
}
"""

SIDE = (b'builtin.module attributes {recon.constants = "z.safetensors"} {\nfunc.func @main(%x: !cnn.tensor<1x4x4x4, '
        b'scale 0.5, zero 0>) attributes {a = #recon.blob<64xi8, "sha256:0123">} {\n func.return\n}\n}')  # fmt: skip


def _side_device(folder: Path) -> Sequence[str]:
    (folder / "x.mlir").write_bytes(SIDE)
    os.symlink("/dev/zero", folder / "z.safetensors")
    return ("recon", "compile", "x.mlir", "-o", "x.rbin")


def _side_pipe(folder: Path) -> Sequence[str]:
    (folder / "x.mlir").write_bytes(SIDE)
    os.mkfifo(folder / "z.safetensors")
    return ("recon", "compile", "x.mlir", "-o", "x.rbin")


def _cut_plan(folder: Path) -> Sequence[str]:
    """A plan that ends within its last string but one, as a full disk leaves it."""
    plan = (ROOT / "examples" / "fused.mlir").read_text()
    (folder / "x.mlir").write_text(plan[: plan.rindex('"') + 1] + " layer " + '"' + "conv_" * 20_000)
    return ("recon-opt", "x.mlir")


# --------------------------------------------------------------------------------------------------------- machines


def _machine(old: str, new: str) -> Maker:
    text = (MACHINES / "edge4k.toml").read_text()
    assert old in text, old
    return _written("x.toml", text.replace(old, new, 1).encode(), "recon", "machines", "x.toml")


# ----------------------------------------------------------------------------------------------------------- inputs


def _input(make: Callable[[Path], str]) -> Maker:
    """A file for a program whose input is a picture."""

    def maker(folder: Path) -> Sequence[str]:
        picture_program().save(folder / "p.rbin")
        return ("recon", "run", "p.rbin", "--input", make(folder))

    return maker


def _png(width: int, channels: int, rows: int | None = None, cut: int = 0) -> Callable[[Path], str]:
    """A square PNG of zeros, with fewer ``rows`` than it claims, and without its last bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def make(folder: Path) -> str:
        packer = zlib.compressobj(9)
        row = bytes(1 + width * channels)
        data = b"".join(packer.compress(row) for _ in range(width if rows is None else rows)) + packer.flush()
        head = struct.pack(">IIBBBBB", width, width, 8, 2 if channels == 3 else 6, 0, 0, 0)
        whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
        (folder / "p.png").write_bytes(whole[: len(whole) - cut])
        return "p.png"

    return make


def _webp(folder: Path) -> str:
    Image.new("RGB", (6000, 6000)).save(folder / "p.webp", method=0)
    return "p.webp"


def _npy(text: bytes) -> Callable[[Path], str]:
    """An .npy file with this head and no numbers."""

    def make(folder: Path) -> str:
        (folder / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
        return "a.npy"

    return make


def _npz(folder: Path) -> str:
    file = io.BytesIO()
    np.savez(file, x=np.zeros((1, 8, 8, 3), np.float32))
    (folder / "a.npy").write_bytes(file.getvalue())
    return "a.npy"


def _packed(folder: Path) -> str:
    """12 GB of zeros in an archive."""
    head = io.BytesIO()
    shape = (20000, 3, 224, 224)
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(folder / "s.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(1 << 20))
    return "s.npz"


def _device(_folder: Path) -> str:
    return "/dev/zero"


OTHERS: dict[str, Maker] = {
    **{
        f"{what} without end, {how}": _instruction(text, *command)
        for what, text in (("a load", LOAD), ("a store", STORE), ("a fill", FILL), ("a conv", CONV), ("a copy", COPY))
        for how, command in (("run", RUN), ("timed", TIMED), ("sanitized", SANITIZED))
    },
    "a head whose memory is 2^70": _head(dram_bytes=2**70),
    "a head whose layers are a number": _head(layers=7),
    "a head whose inputs are 2^60 bytes": _head(inputs=[{"name": "x", "dtype": "int8", "shape": [2**60]}]),
    "a head 100,000 deep": _deep_head,
    "a program that is a device": _linked("x.rbin", *RUN),
    "a plan cut inside a string": _cut_plan,
    "text cut inside a string": _text(b'builtin.module attributes {a = "' + b"x" * 200_000),
    "operations 3,000 deep": _text(b"builtin.module {\n" * 3000 + b"}" * 3000),
    "brackets 5,000 deep": _text(b"builtin.module attributes {a = " + b"[" * 5000 + b"]" * 5000 + b"} {}"),
    "types 5,000 deep": _text(b"func.func @main(%0 : " + b"tuple<" * 5000 + b"i8" + b">" * 5000 + b") {}"),
    "text that is no UTF-8": _text(b'builtin.module attributes {a = "\xff"} {}'),
    "10,000,000,000 numbers of one": _text(b"builtin.module attributes {a = #recon.blob<99999x99999xi8, 1>} {}"),
    "a module without @main": _written("x.mlir", b"builtin.module {}", "recon", "compile", "x.mlir", "-o", "x.rbin"),
    "levels mixed": _written("x.mlir", MIXED, "recon", "compile", "x.mlir", "-o", "x.rbin"),
    "a text that is a device": _linked("x.mlir", "recon-opt", "x.mlir"),
    "a side file that is a device": _side_device,
    "a side file that is a pipe": _side_pipe,
    "a machine of 2^63 cycles": _machine("latency = ", "latency = 9223372036854775808 # "),
    "a machine whose channel only refreshes": _machine("refresh_per_mille = ", "refresh_per_mille = 1000 # "),
    "a machine without a name": _machine('name = "edge4k"', 'name = ""'),
    "a machine of a million digits": _machine("latency = ", f"latency = {'9' * 1_000_000} # "),
    "brackets 100,000 deep in a machine": _written("x.toml", b"a = " + b"[" * 100_000, "recon", "machines", "x.toml"),
    "a machine that is a device": _linked("x.toml", "recon", "machines", "x.toml"),
    "a listing that is a device": _linked("x.asm", "recon", "assemble", "x.asm", "--base", "x.asm", "-o", "y.rbin"),
    "a picture of 13,000 x 13,000": _input(_png(13_000, 3)),
    "a picture of 8,193 x 8,193 and transparency": _input(_png(8193, 4)),
    "a picture that claims 99,999 x 99,999": _input(_png(99_999, 3, rows=1)),
    "a picture cut off": _input(_png(640, 3, cut=40)),
    "a WebP of 6,000 x 6,000": _input(_webp),
    "a head of .npy that claims 10^16 numbers": _input(
        _npy(b"{'descr':'<f4','fortran_order':False,'shape':(1,99999999,99999999)}\n")
    ),
    "a head of .npy that is code": _input(_npy(b"__import__('os').system('touch owned')\n")),
    "a head of .npy with objects": _input(_npy(b"{'descr':'|O','fortran_order':False,'shape':(1,)}\n")),
    "an .npz named .npy": _input(_npz),
    "12 GB in an archive": _input(_packed),
    "an input that is a device": _input(_device),
}
"""By what the file is."""
