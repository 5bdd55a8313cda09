"""What a client belongs to, as far as policies ask: carried in its API key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Groups:
    """Labels come from the enrolment token, the rest from the client's registration."""

    capabilities: frozenset[str] = frozenset()
    node_id: str | None = None
    labels: frozenset[str] = frozenset()


NO_GROUPS = Groups()
