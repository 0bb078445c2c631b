"""Reading ONNX files and simplifying them."""
