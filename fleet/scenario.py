"""What happens in a run: acts, each of a kind, at a time, to a part of the fleet."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.discipline import Discipline


class Kind(StrEnum):
    """What an act does; docs/fleet.md has a line on each."""

    SILENCE = "silence"
    CUT = "cut"
    SKEW = "skew"
    CLONE = "clone"
    BRUTE_FORCE = "brute_force"
    CHURN = "churn"
    EVENTS = "events"
    SESSIONS = "sessions"
    HOSTILE = "hostile"


class Hostility(StrEnum):
    """What a hostile request is."""

    BAD_SIGNATURE = "bad_signature"
    BAD_KEY = "bad_key"
    OTHER_IDENTITY = "other_identity"
    MALFORMED_JSON = "malformed_json"
    DUPLICATE_KEY = "duplicate_key"
    STALE = "stale"
    OVERSIZED = "oversized"
    MALFORMED_HTTP = "malformed_http"


@dataclass(frozen=True, slots=True)
class Act:
    """One act.

    Attributes:
        at_ms, for_ms: when it begins, and how long it lasts; None for to the end of the run.
        share: the part of the fleet that it is about, 0 to 1; ``count`` goes before it, where it is given.
        rate_per_s: of what it sends, of all clients together.
        by_ms: how far clocks are put ahead (skew).
        away_ms: how long who leaves stays away (churn), or a session lasts (sessions).
        values: types of events, or kinds of hostile requests.
    """

    kind: Kind
    at_ms: int = 0
    for_ms: int | None = None
    share: float = 1.0
    count: int | None = None
    rate_per_s: float = 1.0
    by_ms: int = 0
    away_ms: int = 60_000
    values: tuple[str, ...] = ()
    severity: str = "low"
    source_ip: str = "203.0.113.0"
    farewell: bool = True

    def chosen(self, clients: int, seed: str) -> list[int]:
        """The numbers of the clients that it is about: the same for the same seed."""
        wanted = min(clients, self.count if self.count is not None else round(self.share * clients))
        return sorted(random.Random(f"{seed}/{self.kind}/{self.at_ms}").sample(range(clients), wanted))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run.

    Attributes:
        clients: how many, unless the caller says.
        interval_ms: between heartbeats; None for what the server says at registration.
        ramp_ms: within which all begin; None for one interval.
        duration_ms: None for until it is stopped.
    """

    name: str = "steady"
    clients: int = 1_000
    interval_ms: int | None = None
    ramp_ms: int | None = None
    duration_ms: int | None = None
    discipline: Discipline = Discipline.LIBRARY
    acts: tuple[Act, ...] = field(default_factory=tuple)
