"""What the desk asks of rules (``processors.rules``)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Mute(Protocol):
    """Alerts that nobody is told of."""

    def holds(self, client_id: str, node_id: str | None, timestamp_ms: int, /) -> bool:
        """Whether an alert is muted at that time."""


class Rule(Protocol):
    """A rule as the desk sees it."""

    @property
    def groups(self) -> Collection[str]:
        """The rules whose alerts belong to an alert of this one."""

    @property
    def mute(self) -> Mute:
        """When nobody is to be told."""


class Rules(Protocol):
    """The rules by their id."""

    def rule(self, rule_id: str, /) -> Rule | None:
        """None for an id that no rule has."""
