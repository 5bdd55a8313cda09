"""Carries security events to the rules, and their alerts to Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from processors import brute_force, direct_alerts
from processors.brute_force import Threshold
from processors.decoding import decoded
from processors.outbox import Outbox, alerting
from processors.tables import ChangelogTable


class EventAgent:
    """``failures`` holds each client's newest authentication failures, so that a restart forgets no half-full window."""

    def __init__(self, failures: ChangelogTable, outbox: Outbox, threshold: Threshold) -> None:
        self._failures = failures
        self._outbox = outbox
        self._threshold = threshold

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Take a batch into account. Raises DeliveryFailed."""
        events, dead = decoded(records, ("event",))
        changed: dict[bytes, bytes] = {}
        alerts = []
        for _, event in events:
            alerts += [direct_alerts.high_severity(event), self._observe(event, changed)]
        now_ms = self._outbox.clock()
        # Before the state: after a crash in between, the same events lead to the same alerts.
        await self._outbox.write([*dead, *(alerting(alert, now_ms) for alert in alerts if alert)])
        await self._outbox.settle(self._put(partition, changed))

    def _observe(self, event: dict[str, Any], changed: dict[bytes, bytes]) -> Any:
        key = str(event["client_id"]).encode()
        before = brute_force.load(changed.get(key) or self._failures.get(key))
        after, alert = brute_force.observe(before, event, self._threshold)
        if after is not before:
            changed[key] = brute_force.dump(after)
        return alert

    def _put(self, partition: int, changed: dict[bytes, bytes]) -> list[Awaitable[Any]]:
        return [self._failures.put(partition, key, value) for key, value in changed.items()]
