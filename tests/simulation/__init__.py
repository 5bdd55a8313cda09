"""Seeded simulations of the pure parts, each beside an oracle that is too simple to be wrong. ``python -m tests.simulation``."""
