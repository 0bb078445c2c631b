"""examples/detect.py: boxes from maps made by hand, and photos of any shape made to fit."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def detect() -> ModuleType:
    spec = importlib.util.spec_from_file_location("detect_example", ROOT / "examples" / "detect.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_boxes(detect: ModuleType) -> None:
    """A centre at row 10, column 20 of a quarter's map: 4 elements high, 2 wide, half an element lower."""
    heat, sizes, offsets = np.zeros((64, 64)), np.zeros((2, 64, 64)), np.zeros((2, 64, 64))
    heat[10, 20], heat[10, 21], heat[40, 5], heat[50, 50] = 0.9, 0.8, 0.5, 0.1
    sizes[:, 10, 20] = np.log([4, 2])
    sizes[:, 10, 21] = np.log([4, 2.5])
    offsets[0, 10, 20] = offsets[0, 10, 21] = 0.5
    offsets[1, 10, 21] = -1
    first, second = detect.boxes_of(heat, sizes, offsets)  # the third is the first again, the fourth is no face
    assert first == pytest.approx((78, 36, 86, 52, 0.9))
    assert second == pytest.approx((20, 160, 24, 164, 0.5))


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((300, 100), 85, 256), ((100, 300), 256, 85), ((40, 40), 256, 256)]
)
def test_a_photo_fits(detect: ModuleType, size: tuple[int, int], rows: int, columns: int) -> None:
    values, factor = detect.fitted(Image.new("RGB", size, (200, 100, 50)))
    assert values.shape == (1, 3, 256, 256)
    assert factor == 256 / max(size)
    assert (values[0, :, :rows, :columns] == np.asarray([200, 100, 50])[:, None, None]).all()
    assert not values[0, :, rows:].any()
    assert not values[0, :, :, columns:].any()
