"""The plan spelled out as instructions; nothing is decided here."""
