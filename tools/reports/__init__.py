"""Figures for people: what a run cost, and what machines and freedoms are worth."""
