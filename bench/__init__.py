"""Measures the parts against bounds of the same machine in the same run: ``python -m bench`` (``make bench``)."""
