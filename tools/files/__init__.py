"""What is read and written: constants beside a text, listings, tensors and pictures."""
