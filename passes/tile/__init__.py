"""What the tile text says twice is said once."""
