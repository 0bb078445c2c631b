"""An independent integer reference for quantised ONNX models; it imports nothing of the compiler or the simulator."""

from .integer_oracle import run_integer, run_integer_all
from .values import UnsupportedModelError

__all__ = ["UnsupportedModelError", "run_integer", "run_integer_all"]
