"""The errors of the SOC's commands.

SocError
├── KeyUnusable      a key file that cannot be read, opened or written
└── RowUnopened      a row, or a value of it, that does not open; names columns, never values
"""

from __future__ import annotations


class SocError(Exception):
    """Base of every error that this package raises."""


class KeyUnusable(SocError):
    """A key file cannot be read, opened or written."""


class RowUnopened(SocError):
    """A row is no row, or a value of it does not open."""
