"""``recon quantize``: a float model becomes one of int8 by ONNX Runtime's quantiser, and what it loses is measured."""
