"""nncf, ONNX backend: MODEL DATA.npy OUT SETTING (a preset), in an environment of its own."""

import sys

import nncf
import numpy as np
import onnx

model, data, out, setting = sys.argv[1:]
loaded = onnx.load(model)
name = loaded.graph.input[0].name
preset = {"mixed": nncf.QuantizationPreset.MIXED, "performance": nncf.QuantizationPreset.PERFORMANCE}[setting]
rows = np.load(data)
made = nncf.quantize(loaded, nncf.Dataset(list(rows), lambda row: {name: row}), preset=preset, subset_size=len(rows))
onnx.save(made, out)
