"""Configuration images: what ``load_config`` brings into the shadow slot.

    0   8  magic b"RECONCFG"
    8   2  version
    10  2  algorithm, by its number in ``machine.ALGORITHMS``
    12  8  g, k, r, p (uint16)
    20  …  the datapath's switch settings: a SHAKE-256 stream over the 20 bytes before them
    -32    SHA-256 of everything before it

All little-endian. A real image holds switch settings; the stream stands for them, so that every byte matters.
"""

from __future__ import annotations

import functools
import hashlib
import struct

from sim.machine.description import ALGORITHMS, Configuration
from sim.machine.errors import Fault

MAGIC = b"RECONCFG"
VERSION = 1
_HEAD = struct.Struct("<8sHHHHHH")
_DIGEST = 32


@functools.lru_cache(maxsize=256)
def encode(configuration: Configuration, image_bytes: int) -> bytes:
    """The image of a configuration, exactly ``image_bytes`` (at least 64) long; the same image every time."""
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        ALGORITHMS.index(configuration.algorithm),
        configuration.g,
        configuration.k,
        configuration.r,
        configuration.p,
    )
    body = head + hashlib.shake_256(head).digest(image_bytes - len(head) - _DIGEST)
    return body + hashlib.sha256(body).digest()


def decode(image: bytes) -> Configuration:
    """The configuration an image holds; Fault says when it is foreign or damaged."""
    if image[: len(MAGIC)] != MAGIC:
        raise Fault("these bytes are no configuration image: they do not begin with its mark.")
    _, version, algorithm, g, k, r, p = _HEAD.unpack_from(image)
    if version != VERSION:
        raise Fault(f"this configuration image has version {version} and the machine reads version {VERSION}.")
    if hashlib.sha256(image[:-_DIGEST]).digest() != image[-_DIGEST:] or algorithm >= len(ALGORITHMS):
        raise Fault("this configuration image is damaged: its checksum differs.")
    configuration = Configuration(ALGORITHMS[algorithm], g, k, r, p)
    if encode(configuration, len(image)) != image:
        raise Fault("this configuration image is damaged: its switch settings are not those of its configuration.")
    return configuration
