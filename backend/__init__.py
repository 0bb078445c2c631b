"""From accel IR to a program file: encoding, the layer table, the bounds."""
