"""Between blobs and numpy arrays, sharing their bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.recon import BlobAttr

Array = npt.NDArray[Any]

DTYPE = {"i8": np.int8, "ui8": np.uint8, "i16": np.int16, "ui16": np.uint16, "i32": np.int32, "ui32": np.uint32,
         "i64": np.int64, "ui64": np.uint64, "f16": np.float16, "f32": np.float32, "f64": np.float64,
         "i1": np.bool_}  # fmt: skip
"""numpy's type of a blob's element type."""

_ELEMENT = {np.dtype(dtype): name for name, dtype in DTYPE.items()}


def to_array(blob: BlobAttr) -> Array:
    """A blob's values, sharing its bytes; ValueError for an unresolved reference."""
    return np.frombuffer(memoryview(blob.data.buffer()), DTYPE[blob.data.element]).reshape(blob.shape)


def to_blob(array: npt.ArrayLike) -> BlobAttr:
    """A blob of an array's values, sharing its memory if it is contiguous."""
    values = np.ascontiguousarray(array)
    shape = np.shape(array)
    data = values.reshape(-1).view(np.uint8).data if values.size else b""
    return BlobAttr.make(shape, _ELEMENT[values.dtype], data)
