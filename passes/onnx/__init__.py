"""From a file to the onnx level, and what is simplified there."""
