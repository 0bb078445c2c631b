"""From ONNX files to cnn IR."""
