"""One message that waits for the server: not signed yet, since the key may change before it is sent."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

Kind = Literal["events", "sessions"]
"""As the lines of ``POST /clients/batch`` name it."""


class Rank(IntEnum):
    """How grave a record is; the least grave make room first. A session report counts as ``LOW``."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


URGENT = Rank.HIGH
"""From here on a record goes before those that came earlier."""


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message without its signature.

    Attributes:
        sealed_for: id of the key that its sensitive members are sealed for; None while no sealing key is known, so that
            they are in the clear within the encrypted spool.
    """

    kind: Kind
    message: dict[str, Any]
    sealed_for: str | None = None

    @property
    def rank(self) -> Rank:
        return Rank[self.message["severity"].upper()] if self.kind == "events" else Rank.LOW

    def with_message(self, message: dict[str, Any], sealed_for: str | None = None) -> Record:
        """The same with another message in it; sealed for the same key unless another is named."""
        return replace(self, message=message, sealed_for=sealed_for or self.sealed_for)

    def encoded(self) -> bytes:
        return msgspec.json.encode(self)


def decode(plaintext: bytes) -> Record:
    """What ``encoded`` gave. Raises ValueError."""
    return msgspec.json.decode(plaintext, type=Record)
