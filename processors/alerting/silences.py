"""Silences: alerts that nobody is to be told of for a while, and whose rule says so by its ``mute``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from schemas.topics import HOUR_MS

MAX_SILENCES = 1_000
KEPT_MS = HOUR_MS
"""A silence that is over is known for so long, so that an order that comes twice is known too."""


class Subject(Protocol):
    """What a silence or a mute looks at."""

    @property
    def rule(self) -> str:
        """The rule's id."""

    @property
    def client_id(self) -> str:
        """Empty for the whole fleet."""

    @property
    def node_id(self) -> str | None:
        """None where it is about no node."""


class Silence(NamedTuple):
    """A ``silence`` record: all of ``rule``, ``client_id`` and ``node_id`` that are given must fit. Times in ms."""

    silence_id: str
    rule: str | None
    client_id: str | None
    node_id: str | None
    starts_at: int
    ends_at: int
    reason: str
    actor: str
    created_at: int

    def holds(self, clock_ms: int) -> bool:
        """Whether it is in force."""
        return self.starts_at <= clock_ms < self.ends_at

    def fits(self, subject: Subject) -> bool:
        """Whether it is about this alert."""
        wanted = ((self.rule, subject.rule), (self.client_id, subject.client_id), (self.node_id, subject.node_id))
        return all(value in (None, found) for value, found in wanted)


class Silences:
    """The silences by their id; what has changed is asked for by ``changes``."""

    def __init__(self, records: Iterable[Mapping[str, Any]] = ()) -> None:
        self._all = {str(record["silence_id"]): Silence(**record) for record in records}
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._all)

    def get(self, silence_id: str) -> Silence | None:
        """The silence of this id, also one that is over."""
        return self._all.get(silence_id)

    def put(self, silence: Silence) -> None:
        """Add it, or put it in the place of the one of its id."""
        self._all[silence.silence_id] = silence
        self._changed.add(silence.silence_id)

    def over(self, subject: Subject, clock_ms: int) -> str | None:
        """The first one by id that is in force and about this alert."""
        found = [name for name, each in self._all.items() if each.holds(clock_ms) and each.fits(subject)]
        return min(found, default=None)

    def turns(self, before_ms: int, now_ms: int) -> bool:
        """Whether any began or ended between these times; those that have been over for long are forgotten."""
        for name in [name for name, each in self._all.items() if each.ends_at + KEPT_MS <= now_ms]:
            del self._all[name]
            self._changed.add(name)
        edges = (edge for each in self._all.values() for edge in (each.starts_at, each.ends_at))
        return any(before_ms < edge <= now_ms for edge in edges)

    def changes(self) -> dict[str, dict[str, Any] | None]:
        """``silence`` records by id since the last call; None where one was forgotten."""
        changed, self._changed = self._changed, set()
        return {name: self._all[name]._asdict() if name in self._all else None for name in changed}
