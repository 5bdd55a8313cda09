"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment_ms(text: str) -> int:
    """An ISO 8601 time, UTC where it names no offset, in ms since the epoch. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
