"""Text as a literal of ClickHouse's SQL."""

from __future__ import annotations

_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0", "(": "\\x28"})


def quoted(text: str) -> str:
    """A string literal. Brackets are escaped, since chDB looks in every text that it is given for Python(NAME)."""
    return f"'{text.translate(_ESCAPES)}'"
