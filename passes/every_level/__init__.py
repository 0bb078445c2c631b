"""Passes that serve every level."""
