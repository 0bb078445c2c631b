"""onnx-neural-compressor: MODEL DATA.npy OUT SETTING, in an environment of its own."""

import sys

import numpy as np
import onnx
import onnxruntime
from onnx_neural_compressor import data_reader
from onnx_neural_compressor.quantization import QuantFormat, QuantType, config, quantize

FORMATS = {"qdq": QuantFormat.QDQ, "operators": QuantFormat.QOperator}


class Reader(data_reader.CalibrationDataReader):
    def __init__(self, name: str, data: np.ndarray):
        self.name, self.data = name, data
        self.rewind()

    def rewind(self) -> None:
        self.rows = iter([{self.name: row} for row in self.data])

    def get_next(self) -> dict | None:
        return next(self.rows, None)


model, data, out, setting = sys.argv[1:]
assert onnxruntime.__version__
name = onnx.load(model).graph.input[0].name
settings = config.StaticQuantConfig(
    calibration_data_reader=Reader(name, np.load(data)),
    quant_format=FORMATS[setting],
    per_channel=True,
    activation_type=QuantType.QInt8,
    weight_type=QuantType.QInt8,
)
quantize(model, out, settings)
