"""The keys that clients had, and from when until when each may have signed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from schemas.signing import key_id as name_of

# Edges and the registry run on several machines, whose clocks differ a little; a revocation takes 5 s to reach every edge.
CLOCKS_DIFFER_MS = 10_000
ROTATION = "rotation"


@dataclass(frozen=True, slots=True)
class Key:
    """A row of ``client_keys``."""

    client_id: str
    key_id: str
    public_key: bytes
    valid_from: int
    origin: str


@dataclass(frozen=True, slots=True)
class Span:
    """A key, and the times (ms) between which the edge took messages under it; without an end for the newest."""

    public_key: bytes
    since: int
    until: int | None

    def holds_at(self, time_ms: int) -> bool:
        return self.since <= time_ms and (self.until is None or time_ms <= self.until)


class KeyHistory:
    """Finds the key that a row says to be signed by. ``overlap_ms``: how long a rotated key stays good."""

    def __init__(self, keys: Iterable[Key], overlap_ms: int) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        by_client: dict[str, list[Key]] = {}
        for key in keys:
            if name_of(key.public_key) == key.key_id:  # or the row was changed: it is nobody's key
                by_client.setdefault(key.client_id, []).append(key)
        for of_client in by_client.values():
            self._add(sorted(of_client, key=lambda key: key.valid_from), overlap_ms)

    def _add(self, keys: list[Key], overlap_ms: int) -> None:
        ends: list[int | None] = [
            after.valid_from + CLOCKS_DIFFER_MS + (overlap_ms if after.origin == ROTATION else 0)
            for _, after in pairwise(keys)
        ]
        for key, until in zip(keys, [*ends, None], strict=True):
            span = Span(key.public_key, key.valid_from - CLOCKS_DIFFER_MS, until)
            self._spans.setdefault((key.client_id, key.key_id), []).append(span)

    def public_key(self, client_id: str, key_id: str) -> bytes | None:
        """None where the client never had the key."""
        spans = self._spans.get((client_id, key_id))
        return spans[0].public_key if spans else None

    def was_in_force(self, client_id: str, key_id: str, time_ms: int) -> bool:
        return any(span.holds_at(time_ms) for span in self._spans.get((client_id, key_id), ()))
