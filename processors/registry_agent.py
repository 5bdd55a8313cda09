"""Carries what clients ask and administrators order to the registry's decisions, and their outcome to Kafka."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from processors.alerting import sources
from processors.decoding import decoded
from processors.errors import CertificateNotIssued
from processors.issuer import Issuer
from processors.outbox import Outbox, Outgoing, keyed, signalling
from processors.registry import administration, certificates, client_keys, enrolment, policies, registration
from processors.registry.decision import Decide, Decision, Outcome, Record, States, verdict
from processors.rounds import rounds
from processors.tables import ChangelogTable
from schemas import codec
from schemas.topics import CLIENTS, ENROLMENTS, POLICIES, REGISTRATIONS, REVOCATIONS, VERDICTS, Topic

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What a record of one kind is about, the member that names its subject, and who decides."""

    table: Topic
    subject: str
    decide: Decide


REQUESTS = {
    "registration": Kind(CLIENTS, "client_id", registration.decide),
    "key_rotation": Kind(CLIENTS, "client_id", client_keys.rotate),
    "certificate_request": Kind(CLIENTS, "client_id", certificates.decide),
    "enrolment_claim": Kind(ENROLMENTS, "token_id", enrolment.claim),
}
COMMANDS = {
    "client.approve": Kind(CLIENTS, "subject", administration.approve),
    "client.revoke": Kind(CLIENTS, "subject", administration.revoke),
    "client.reinstate": Kind(CLIENTS, "subject", administration.reinstate),
    "client.revoke_keys": Kind(CLIENTS, "subject", administration.revoke_keys),
    "client.allow_key": Kind(CLIENTS, "subject", administration.allow_key),
    "client.erase": Kind(CLIENTS, "subject", administration.erase),
    "enrolment.create": Kind(ENROLMENTS, "subject", enrolment.create),
    "enrolment.revoke": Kind(ENROLMENTS, "subject", enrolment.revoke),
    "policy.set": Kind(POLICIES, "subject", policies.set_policy),
    "policy.delete": Kind(POLICIES, "subject", policies.delete_policy),
}


def _unfit(_: States, request: Record, now_ms: int) -> Decision:
    subject = str(request.get("subject") or request.get("client_id"))
    return Decision(
        verdict(request, subject, Outcome.REFUSED, now_ms, reason="no such action, or arguments that do not fit it")
    )


UNKNOWN = Kind(CLIENTS, "subject", _unfit)


class _Decided(NamedTuple):
    kind: Kind
    request: Record
    before: Record | None
    decision: Decision


class RegistryAgent:
    """Decides by the tables and carries out what was decided.

    Args:
        tables: by the compacted topic that is their changelog.
        on_client: called with the partition and the record of each client that was written.
        on_erased: called with the partition and the id of each client that is to be forgotten; its writes are awaited.
    """

    def __init__(
        self,
        tables: Mapping[Topic, ChangelogTable],
        outbox: Outbox,
        issuer: Issuer,
        on_client: Callable[[int, Record], None],
        on_erased: Callable[[int, str], Sequence[Awaitable[Any]]] = lambda partition, client_id: (),
    ) -> None:
        self._on_erased = on_erased
        self._on_client = on_client
        self._tables = tables
        self._states = {topic: _Records(table, topic) for topic, table in tables.items()}
        self._outbox = outbox
        self._issuer = issuer

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Decide on a batch. Raises DeliveryFailed."""
        requests, dead = decoded(records, REGISTRATIONS.schemas)
        for part in rounds(requests, _subject):
            await self._decide(partition, part)
        await self._outbox.write(dead)

    async def _decide(self, partition: int, requests: Sequence[tuple[str, Record]]) -> None:
        now_ms = self._outbox.clock()
        found = [self._decided(name, request, now_ms) for name, request in requests]
        decided = await asyncio.gather(*(self._with_certificate(each) for each in found))
        # First the state, then what is said about it: a verdict that an edge has seen must hold after a crash.
        states = [self._put(each.kind.table, partition, each.decision.state) for each in decided if each.decision.state]
        erased = [each for each in decided if each.decision.forgotten]
        states += [write for each in erased for write in self._forget(each, partition)]
        await self._outbox.settle(states)
        for each in decided:
            if each.kind.table is CLIENTS and each.decision.state:
                self._on_client(partition, each.decision.state)
        await self._outbox.write([row for each in decided for row in _rows(each)])
        self._issuer.revoke([serial for each in decided for serial in _revoked(each.decision)])

    def _decided(self, name: str, request: Record, now_ms: int) -> _Decided:
        kind = COMMANDS.get(str(request["action"]), UNKNOWN) if name == "command" else REQUESTS[name]
        states = self._states[kind.table]
        before = states.get(str(request[kind.subject]))
        return _Decided(kind, request, before, _decision(kind, states, request, now_ms))

    async def _with_certificate(self, decided: _Decided) -> _Decided:
        decision = decided.decision
        if decision.csr is None:
            return decided
        try:
            issued = await self._issuer.issue(decision.verdict["client_id"], decision.csr)
        except CertificateNotIssued as error:
            log.error("a certificate was not issued: %s", error)
            return decided._replace(decision=certificates.without_certificate(decision))
        return decided._replace(decision=certificates.with_certificate(decision, issued, decided.before))

    def _forget(self, decided: _Decided, partition: int) -> list[Awaitable[Any]]:
        client_id = str(decided.request[decided.kind.subject])
        tombstone = self._tables[decided.kind.table].delete(partition, client_id.encode())
        return [tombstone, *self._on_erased(partition, client_id)]

    def _put(self, topic: Topic, partition: int, record: dict[str, Any]) -> Awaitable[Any]:
        value = codec.encode(topic.schemas[0], record)
        return self._tables[topic].put(partition, str(record[topic.key]).encode(), value)


class _Records(Mapping[str, Record]):
    """A table's values, decoded when they are looked at."""

    def __init__(self, table: ChangelogTable, topic: Topic) -> None:
        self._table = table
        self._schema = topic.schemas[0]

    def __getitem__(self, key: str) -> Record:
        value = self._table.get(key.encode())
        if value is None:
            raise KeyError(key)
        return codec.decode_as(self._schema, value)

    def __iter__(self) -> Iterator[str]:
        return (key.decode() for key, _ in self._table.items())

    def __len__(self) -> int:
        return sum(1 for _ in self._table.items())


def _decision(kind: Kind, states: States, request: Record, now_ms: int) -> Decision:
    """A command whose arguments do not fit is refused; whoever gave it is told so, and the queue goes on."""
    try:
        return kind.decide(states, request, now_ms)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.error("a request to the registry does not fit: %s", type(error).__name__)
        return _unfit(states, request, now_ms)


def _rows(decided: _Decided) -> Iterator[Outgoing]:
    decision, before = decided.decision, decided.before
    yield keyed(VERDICTS, decision.verdict)
    for topic, record in decision.rows:
        yield keyed(topic, record)
    if before and "public_key" in decided.request and decision.verdict["outcome"] == Outcome.CONFLICT:
        yield signalling(sources.of_conflict(before, decided.request))


def _revoked(decision: Decision) -> list[str]:
    return [serial for row in decision.rows if row.topic is REVOCATIONS for serial in row.record["certificate_serials"]]


def _subject(item: tuple[str, Record]) -> str:
    name, request = item
    return str(request["subject"] if name == "command" else request[REQUESTS[name].subject])
