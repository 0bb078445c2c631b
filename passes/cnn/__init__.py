"""What is fused on the cnn level, and whether the machine can run it at all."""
