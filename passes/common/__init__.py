"""What passes of several levels need: problems in whole sentences, notes, boxes of tiles, placement."""
