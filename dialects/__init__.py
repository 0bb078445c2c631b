"""The levels of the compiler as xDSL dialects: onnx, cnn, tile, accel, and what they share (recon)."""
