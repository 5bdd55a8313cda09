"""Seeded simulations of the pure parts, each beside an oracle too simple to be wrong: ``python -m tests.simulation``."""
