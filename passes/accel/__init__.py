"""Addresses, waits, and the proof that they suffice."""
