"""``quantize_static`` of the ONNX Runtime at hand: MODEL DATA.npy OUT SETTING, in an environment of its own."""

import sys

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

SETTINGS = {
    "s8": {},
    "u8": {"activation_type": QuantType.QUInt8},
    "u8u8": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8, "per_channel": False},
    "operators": {"quant_format": QuantFormat.QOperator, "activation_type": QuantType.QUInt8},
    "tensor": {"per_channel": False, "reduce_range": True},
    "percentile": {"calibrate_method": CalibrationMethod.Percentile},
    "inputs": {
        "op_types_to_quantize": ["Conv", "Gemm"],
        "extra_options": {
            "DedicatedQDQPair": True,
            "QDQKeepRemovableActivations": True,
            "OpTypesToExcludeOutputQuantization": ["Conv", "Gemm"],
            "ActivationSymmetric": True,
        },
    },
    "symmetric": {"extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True}},
}


class Reader(CalibrationDataReader):
    def __init__(self, name: str, data: np.ndarray):
        self.rows = iter([{name: row} for row in data])

    def get_next(self) -> dict | None:
        return next(self.rows, None)


model, data, out, setting = sys.argv[1:]
name = onnx.load(model).graph.input[0].name
options = {
    "activation_type": QuantType.QInt8,
    "weight_type": QuantType.QInt8,
    "quant_format": QuantFormat.QDQ,
    "per_channel": True,
} | SETTINGS[setting]
quantize_static(model, out, Reader(name, np.load(data)), **options)
