"""Signals as the agents make them, and an engine that remembers what it found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from processors.alerting.findings import Change, Finding
from processors.alerting.signals import Signal, Value
from processors.rules.engine import Engine
from processors.rules.loading import load_rules
from processors.rules.model import RuleSet

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOON = 1_790_000_000_000


def event(at: int, client_id: str = "c", node_id: str | None = "n", **fields: Value) -> Signal:
    name = str(fields.get("event_id", f"e{at}"))
    known: dict[str, Value] = {
        "event_id": name, "event_type": "authentication_failure", "severity": "medium", "origin": "client", **fields,
    }  # fmt: skip
    return Signal(f"events/{client_id}/{name}", "events", client_id, node_id, at, at, known)


def liveness(at: int, client_id: str, state: str, node_id: str | None = "n", **fields: Value) -> Signal:
    reason = str(fields.get("reason", "missed_heartbeats" if state == "offline" else "heartbeat"))
    known: dict[str, Value] = {
        "state": state, "reason": reason, "previous_state": None, "last_heartbeat": at, "interval_ms": 30_000,
        "deadline": at, "watermark": at, "silent_since": None, **fields,
    }  # fmt: skip
    return Signal(f"liveness/{client_id}/{at}/{state}/{reason}", "liveness", client_id, node_id, at, at, known)


def heartbeat(at: int, client_id: str = "c", **fields: Value) -> Signal:
    known: dict[str, Value] = {
        "status": "online", "uptime": 1.0, "cpu_usage": 5.0, "memory_usage": 40.0, "network_activity": 0.0, "skew_ms": 0,
        **fields,
    }  # fmt: skip
    return Signal(f"heartbeats/{client_id}/{at}", "heartbeats", client_id, "n", at, at, known)


def signal(source: str, at: int, client_id: str = "", **fields: Value) -> Signal:
    return Signal(f"{source}/{client_id}/{at}", source, client_id, None, at, at, fields)


class Bench:
    """An engine, and all that it ever found."""

    def __init__(self, rules: RuleSet | str) -> None:
        self.engine = Engine(load_rules(rules, "test.yaml") if isinstance(rules, str) else rules)
        self.found: list[Finding] = []

    def see(self, *signals: Signal) -> list[Finding]:
        return self._kept(finding for each in signals for finding in self.engine.observe(each))

    def clock(self, at: int) -> list[Finding]:
        return self._kept(self.engine.advance(at))

    def _kept(self, findings: Iterable[Finding]) -> list[Finding]:
        new = list(findings)
        self.found += new
        return new

    def of(self, rule: str, change: Change = Change.BEGINS) -> list[Finding]:
        return [finding for finding in self.found if finding.rule == rule and finding.change is change]

    def standing(self) -> list[tuple[Any, ...]]:
        """What began and is not over, as (rule, *key)."""
        standing: list[tuple[Any, ...]] = []
        for finding in self.found:
            name = (finding.rule, *finding.key)
            if finding.change is Change.BEGINS:
                assert name not in standing, f"{name} began twice"
                standing.append(name)
            else:
                standing.remove(name)
        return standing
