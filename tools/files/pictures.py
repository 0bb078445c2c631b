"""Pictures as inputs: scaled bilinearly to the input's height and width, laid out as its shape says (NHWC or NCHW).

Pixels become ``(pixel − mean) · scale`` per channel; where neither command line nor program gives these, pixel values
stay 0…255 (for an int8 input −128…127, the same codes shifted).
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.program import Port

if TYPE_CHECKING:
    from PIL import Image

Tensor = npt.NDArray[Any]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")

MOST_PIXELS = 2**26
"""Pixels of the largest picture that is read: 8192 x 8192, of which Pillow keeps 256 MB, and 450 MB of a progressive
JPEG."""

_HEAVIER = {"WEBP": 4, "CMYK": 2}
"""Formats and modes whose pixels take so many times as much memory; of such a picture so many times fewer are read."""


@dataclass(frozen=True)
class Picture:
    """How pixels become input values: one number for all channels or one per channel; None: as the program says."""

    scale: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, scale: str | None, mean: str | None) -> Picture:
        """From ``"0.017,0.0175,0.0174"`` and the like; ReconError says which is no list of numbers."""
        picture = cls(_numbers("--scale", scale), _numbers("--mean", mean))
        if picture.scale is not None and 0.0 in picture.scale:
            raise ReconError(f"--scale {scale}: a scale of 0 makes every pixel the same; 1/255 is 0.00392157.")
        return picture

    def to_json(self) -> dict[str, list[float]]:
        """As program files record it."""
        return {name: list(part) for name, part in (("scale", self.scale), ("mean", self.mean)) if part is not None}

    def over(self, recorded: Mapping[str, Any]) -> Picture:
        """This, and where it says nothing what the program recorded."""
        scale, mean = (tuple(recorded[name]) if name in recorded else None for name in ("scale", "mean"))
        return Picture(self.scale or scale, self.mean or mean)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ReconError(f"{option} {text}: write one number, or one per channel with commas: 127.5,127.5,127.5.")
    return numbers


def picture_layout(port: Port) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether channels come last; ReconError when the input is no picture."""
    shape = port.shape[1:] if len(port.shape) == 4 else port.shape
    if len(shape) == 3 and (len(port.shape) == 3 or port.shape[0] == 1):
        if shape[0] in (1, 3):
            return shape[1], shape[2], shape[0], False
        if shape[2] in (1, 3):
            return shape[0], shape[1], shape[2], True
    raise ReconError(
        f"The input '{port.name}' ({port.dtype} of shape {list(port.shape)}) is no picture of 1 or 3 channels; give a "
        ".npy file."
    )


def read_picture(port: Port, path: Path, picture: Picture) -> Tensor:
    """A picture as the tensor that the port takes."""
    height, width, channels, last = picture_layout(port)
    pixels = _pixels(path, height, width, channels)
    mean = picture.mean or ((128.0,) if port.dtype == "int8" and picture.scale is None else (0.0,))
    values = (pixels - _per_channel("mean", mean, channels)) * _per_channel("scale", picture.scale or (1.0,), channels)
    if np.issubdtype(port.dtype, np.integer):
        limits = np.iinfo(port.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return np.ascontiguousarray(values if last else values.transpose(2, 0, 1)).astype(port.dtype).reshape(port.shape)


def _pixels(path: Path, height: int, width: int, channels: int) -> npt.NDArray[np.float32]:
    """float32[height, width, channels] of 0…255; ReconError for what is damaged, unknown or too large."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a limit of our own
            image = Image.open(path)
        with image:
            most = MOST_PIXELS // max(_HEAVIER.get(kind or "", 1) for kind in (image.format, image.mode))
            if image.width * image.height > most:
                raise ReconError(
                    f"{path}: this picture has {image.width:,} x {image.height:,} pixels, and at most {most:,} are "
                    "read; scale it down first."
                )
            scaled = _scaled(image, "L" if channels == 1 else "RGB", (width, height))
    except Image.DecompressionBombError:
        raise ReconError(
            f"{path}: this picture has more than the {MOST_PIXELS:,} pixels that are read; scale it down first."
        ) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, zlib.error):
        raise ReconError(
            f"{path}: this picture cannot be read; it is damaged or of a kind that Pillow does not know."
        ) from None
    return np.asarray(scaled, np.float32).reshape(height, width, channels)


def _scaled(image: Image.Image, mode: str, size: tuple[int, int]) -> Image.Image:
    """The picture in this mode and size; channel by channel where that gives the same, for a quarter of the memory."""
    from PIL import Image

    if mode == "RGB" and image.mode in ("RGB", "RGBA", "RGBX"):
        channels = (image.getchannel(channel).resize(size, Image.Resampling.BILINEAR) for channel in mode)
        return Image.merge(mode, tuple(channels))
    return image.convert(mode).resize(size, Image.Resampling.BILINEAR)


def _per_channel(name: str, numbers: tuple[float, ...], channels: int) -> npt.NDArray[np.float32]:
    if len(numbers) not in (1, channels):
        raise ReconError(
            f"--{name} has {len(numbers)} numbers and the input {channels} channels; give 1 or {channels}."
        )
    return np.asarray(numbers, np.float32)
