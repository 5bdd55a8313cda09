"""Carries registrations to the registry's decision and its outcome to Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from processors import rules
from processors.decoding import decoded
from processors.outbox import Outbox, Outgoing, alerting, keyed
from processors.registry import Decision, Outcome, decide
from processors.rounds import rounds
from processors.tables import ChangelogTable
from schemas import codec
from schemas.topics import AUDIT, VERDICTS

Record = Mapping[str, Any]


class RegistryAgent:
    """``clients`` is the table whose changelog is the public topic of the clients."""

    def __init__(self, clients: ChangelogTable, outbox: Outbox) -> None:
        self._clients = clients
        self._outbox = outbox

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Decide on a batch. Raises DeliveryFailed."""
        requests, dead = decoded(records, ("registration",))
        for part in rounds((request for _, request in requests), lambda request: str(request["client_id"])):
            await self._decide(partition, part)
        await self._outbox.write(dead)

    async def _decide(self, partition: int, requests: Sequence[Record]) -> None:
        now_ms = self._outbox.clock()
        states = [self._state(request) for request in requests]
        decided = [(each, state, decide(state, each, now_ms)) for each, state in zip(requests, states, strict=True)]
        # First the state, then what is said about it: a verdict that an edge has seen must hold after a crash.
        await self._outbox.settle([self._put(partition, decision.client) for _, _, decision in decided if decision.client])
        await self._outbox.write([row for outcome in decided for row in self._rows(*outcome, now_ms)])

    def _state(self, request: Record) -> Record | None:
        value = self._clients.get(str(request["client_id"]).encode())
        return None if value is None else codec.decode_as("client", value)

    def _put(self, partition: int, client: dict[str, Any]) -> Any:
        return self._clients.put(partition, client["client_id"].encode(), codec.encode("client", client))

    def _rows(self, request: Record, state: Record | None, decision: Decision, now_ms: int) -> list[Outgoing]:
        rows = [keyed(VERDICTS, decision.verdict), keyed(AUDIT, decision.audit)]
        if state is not None and decision.verdict["outcome"] == Outcome.CONFLICT:
            rows.append(alerting(rules.identity_conflict(state, request), now_ms))
        return rows
