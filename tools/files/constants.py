"""The side file of a textual module: what ``X.mlir`` refers to by content hash lies in ``X.safetensors`` beside it.

The module's attribute ``recon.constants`` names the file, relative to the text. Each constant is one byte tensor under
its hash; what prints inline (a few numbers, a seed) is not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp, StringAttr

from dialects.recon import Blob, blobs, is_inline, resolve
from sim.machine.errors import ReconError
from sim.machine.files import read_whole
from tools import CONSTANTS


def side_file(path: str | Path) -> Path:
    """``X.safetensors`` for ``X.mlir``."""
    return Path(path).with_suffix(".safetensors")


def attach(modules: Iterable[ModuleOp], path: str | Path) -> dict[str, Blob]:
    """Say in each module where its constants will lie when its text is written to ``path``; returns what belongs there.

    A module without any loses the attribute.
    """
    found: dict[str, Blob] = {}
    for module in modules:
        own = {blob.digest: blob for blob in blobs(module) if blob.data is not None and not is_inline(blob)}
        if own:
            module.attributes[CONSTANTS] = StringAttr(side_file(path).name)
        else:
            module.attributes.pop(CONSTANTS, None)
        found.update(own)
    return found


def write(constants: dict[str, Blob], path: str | Path) -> None:
    """Write the side file of ``path`` whole, or nothing when there are no constants."""
    if not constants:
        return
    import numpy as np
    import safetensors.numpy

    from sim.machine.files import write_whole

    tensors = {digest: np.frombuffer(memoryview(blob.buffer()), np.uint8) for digest, blob in sorted(constants.items())}
    write_whole(side_file(path), safetensors.numpy.save(tensors))


def read(module: ModuleOp, folder: Path) -> None:
    """Give the module's constants their bytes from the side file that it names, if it names one.

    Raises ReconError when the file is missing, no safetensors file, or holds other content than the module refers to.
    """
    name = module.attributes.get(CONSTANTS)
    if not isinstance(name, StringAttr):
        return
    path = folder / name.data
    wanted = {blob.digest for blob in blobs(module) if blob.data is None}
    if not wanted:
        return
    import safetensors.numpy

    try:
        content = safetensors.numpy.load(read_whole(path))
    except OSError as error:
        raise ReconError(f"{path}: the constants of this module cannot be read: {error.strerror}.") from None
    except (safetensors.SafetensorError, ValueError, KeyError):
        raise ReconError(f"{path}: this is not a whole safetensors file.") from None
    for digest in wanted & content.keys():
        if hashlib.sha256(content[digest].data).hexdigest() != digest:
            raise ReconError(f"{path}: the constant sha256:{digest[:12]}… is damaged.")
    missing = resolve(module, {digest: tensor.data for digest, tensor in content.items()})
    if missing:
        raise ReconError(
            f"{path}: {len(set(missing))} of the module's constants are not in it, sha256:{missing[0][:12]}… for one; "
            "text and side file belong together."
        )
