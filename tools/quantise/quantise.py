"""ONNX Runtime's static quantiser, driven: ranges once, then models as often as wanted.

Ranges are collected in small portions and kept in the quantiser's cache file, so leaving further layers in float costs
no second calibration. Weights get a scale per output channel and no zero point, activations int8 with one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    create_calibrator,
    quantize_static,
)

from sim.machine.errors import ReconError
from tools.quantise.biases import leave_room
from tools.quantise.constants import one_scale_each
from tools.quantise.prepare import quiet_logging
from tools.quantise.samples import Samples

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
"""How ranges follow from what was seen."""

PRODUCER = "recon quantize"

PORTION = 4
"""Samples whose activations are held at once; with percentile and entropy these are all tensors of the model."""


class _Reader(CalibrationDataReader):
    def __init__(self, samples: Any):
        self.samples = iter(samples)

    def get_next(self) -> dict[str, Any]:
        return next(self.samples, {})


class Quantiser:
    """A model with its ranges, as a context; ``quantised`` makes a model that leaves some nodes in float."""

    def __init__(
        self,
        model: onnx.ModelProto,
        samples: Samples,
        method: str,
        per_channel: bool,
        progress: Callable[[int, int], None],
    ):
        self._folder = tempfile.TemporaryDirectory()
        self.model = model
        self.method = METHODS[method]
        self.per_channel = per_channel
        self.folder = Path(self._folder.name)
        self.float_path = self.folder / "float.onnx"
        self.ranges = self.folder / "ranges.json"
        onnx.save(model, self.float_path)
        try:
            self._calibrate(samples, progress)
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Quantiser:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the files it works with."""
        self._folder.cleanup()

    def _calibrate(self, samples: Samples, progress: Callable[[int, int], None]) -> None:
        from onnxruntime.quantization.calibrate import save_tensors_data

        with quiet_logging():
            try:
                calibrator = create_calibrator(
                    self.float_path,
                    None,
                    augmented_model_path=str(self.folder / "augmented.onnx"),
                    calibrate_method=self.method,
                )
                portion: list[Any] = []
                for index, sample in enumerate(samples, 1):
                    portion.append(sample)
                    if len(portion) == PORTION or index == samples.count:
                        calibrator.collect_data(_Reader(portion))
                        portion = []
                    progress(index, samples.count)
                found = calibrator.compute_data()
                save_tensors_data(found, self.ranges, smooth_quant=False)
            except ReconError:
                raise
            except Exception as error:  # ONNX Runtime's exceptions share no base class
                raise ReconError(f"The float model cannot be run on the calibration data: {_line(error)}.") from None

    def quantised(self, in_float: Mapping[str, str]) -> onnx.ModelProto:
        """The quantised model; the named nodes stay in float."""
        from tools.quantise.tail import supported

        kinds = sorted({node.op_type for node in self.model.graph.node if supported(node.op_type)})
        path = self.folder / "quantised.onnx"
        with quiet_logging():
            try:
                quantize_static(
                    self.float_path,
                    path,
                    None,
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=kinds,
                    per_channel=self.per_channel,
                    activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8,
                    nodes_to_exclude=sorted(in_float),
                    calibrate_method=self.method,
                    extra_options={
                        "ForceQuantizeNoInputCheck": True,
                        "WeightSymmetric": True,
                        "TensorQuantOverrides": one_scale_each(self.model, QuantType.QInt8),
                    },
                    calibration_cache_path=self.ranges,
                )
                made = onnx.load(path)
            except Exception as error:  # the quantiser raises ValueError, KeyError, RuntimeError and others
                raise ReconError(f"ONNX Runtime's quantiser failed: {_line(error)}.") from None
        leave_room(made)
        made.producer_name = PRODUCER
        made.producer_version = ""
        return made


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(" .") or type(error).__name__
