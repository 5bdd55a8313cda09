"""What the alert path asks of rules and of their engine (``processors.rules``)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from processors.alerting.findings import Finding
from processors.alerting.signals import Signal


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


class Engine(Protocol):
    """What finds: see ``processors.rules.engine``."""

    def observe(self, signal: Signal, /) -> list[Finding]:
        """Take a signal into account."""

    def advance(self, clock_ms: int, /) -> list[Finding]:
        """The clock of the signals went on."""

    def changes(self) -> dict[bytes, bytes | None]:
        """What has to be persisted since the last call."""
