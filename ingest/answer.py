"""A success, as a handler gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON body and further headers."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


SECRET: Mapping[bytes, bytes] = {b"cache-control": b"no-store"}
"""Headers of an answer that nobody may keep."""
