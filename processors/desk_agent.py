"""Carries signals to the rules and the desk, and their alerts and answers to Kafka.

Order of the writes, each awaited before the next: alerts; the desk's state and the silences; the engine's state; the
answers to orders. After a crash in between, the batch is read again:

- Alerts that came out without the state lead to the same alerts, under the same ids.
- The desk knows what it has told before the engine forgets that it found it, so nothing stands that no end would reach.
- An order that was answered holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from processors.alerting import signals
from processors.alerting.detection import Detection, Kept
from processors.alerting.orders import Answer
from processors.alerts import Alert
from processors.clock import Clock
from processors.decoding import decoded
from processors.errors import DeliveryFailed
from processors.outbox import Outbox, Outgoing, alerting, dead_letter, keyed
from processors.rule_book import RuleBook
from processors.rules.engine import Engine
from processors.tables import ChangelogTable
from schemas import codec
from schemas.topics import SIGNALS, SILENCES, VERDICTS

log = logging.getLogger(__name__)

# SIGNALS and the tables have one partition.
_PARTITION = 0


class DeskTables(NamedTuple):
    """What the desk keeps: the engine's state, its own, the silences."""

    engine: ChangelogTable
    desk: ChangelogTable
    silences: ChangelogTable


class _Outcome(NamedTuple):
    """What a batch led to."""

    alerts: list[Alert]
    answers: list[Answer]
    dead: list[Outgoing]


class DeskAgent:
    """One worker of all has the partition of the signals; only there anything is decided.

    Args:
        steady: a clock that nobody sets, for how long the clock of the signals has stood still.
        blind_after_ms: for how long it may.
    """

    def __init__(self, tables: DeskTables, outbox: Outbox, book: RuleBook, steady: Clock, blind_after_ms: int) -> None:
        self._tables = tables
        self._outbox = outbox
        self._book = book
        self._steady = steady
        self._blind_after_ms = blind_after_ms
        self._engine = Engine(book.rules)
        self._detection: Detection | None = None
        self._untold: list[Alert] = []
        self._unsettled: dict[bytes, bytes | None] = {}
        self._turn = asyncio.Lock()
        tables.desk.on_recovered(self._forget)

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Take a batch into account. Raises DeliveryFailed."""
        async with self._turn:
            detection = await self._restored()
            outcome = _Outcome([*self._untold], [], [])
            for raw in records:
                self._take(detection, raw, outcome)
            await self._write(detection, outcome)
            self._untold = []

    async def watch(self) -> None:
        """Called every second where this worker has the partition: an outage is told while it lasts.

        Never raises: while the broker is away nothing can be told, and what was not told is told later.
        """
        async with self._turn:
            try:
                detection = await self._restored()
                self._untold = detection.standstill(self._steady()) or self._untold
                await self._tell_standstill(detection)
            except DeliveryFailed as error:
                log.warning("an outage could not be told yet: %s", error)

    async def reload(self) -> None:
        """The book has other rules. Raises DeliveryFailed."""
        async with self._turn:
            if self._detection is None:
                return
            ended = self._engine.reload(self._book.rules)
            await self._write(self._detection, _Outcome(self._detection.reload(self._book.rules, ended), [], []))

    def _forget(self) -> None:
        """After a start or a rebalance: another worker may have had the partition, so nothing in memory counts."""
        self._detection = None
        self._untold, self._unsettled = [], {}

    async def _restored(self) -> Detection:
        if self._detection is None:
            detection = self._restore()
            await self._write(detection, _Outcome(detection.resume(), [], []))
            self._detection = detection
        return self._detection

    def _restore(self) -> Detection:
        self._engine = Engine(self._book.rules)
        self._engine.restore(self._tables.engine.items())
        silences = [codec.decode_as(SILENCES.schemas[0], value) for _, value in self._tables.silences.items()]
        kept = Kept(dict(self._tables.desk.items()), silences)
        return Detection(self._engine, self._book.rules, kept, self._steady(), self._blind_after_ms)

    def _take(self, detection: Detection, raw: ConsumerRecord, outcome: _Outcome) -> None:
        rows, dead = decoded([raw], SIGNALS.schemas)
        outcome.dead.extend(dead)
        try:
            for name, record in rows:
                self._decide(detection, name, record, outcome)
        except Exception as error:  # noqa: BLE001 - whatever a hostile signal leads to, its neighbours go on
            log.error("a signal could not be taken into account: %s", type(error).__name__)
            outcome.dead.append(dead_letter(raw, error))

    def _decide(self, detection: Detection, name: str, record: dict[str, Any], outcome: _Outcome) -> None:
        if name == "signal":
            outcome.alerts.extend(detection.signal(signals.from_record(record)))
        elif name == "tick":
            outcome.alerts.extend(detection.tick(record["edge"], record["timestamp"], self._steady()))
        else:
            answer = detection.order(record, self._outbox.clock())
            outcome.alerts.extend(answer.alerts)
            outcome.answers.append(answer)

    async def _write(self, detection: Detection, outcome: _Outcome) -> None:
        await self._outbox.write([*outcome.dead, *self._rows(outcome.alerts)])
        await self._persist(detection)
        await self._outbox.write([row for answer in outcome.answers for row in _answered(answer)])

    async def _persist(self, detection: Detection) -> None:
        # What a write of the watch did not get through goes out again with the next one.
        self._unsettled |= detection.desk_changes()
        silences = detection.silence_changes()
        encoded = {key.encode(): codec.encode("silence", value) if value else None for key, value in silences.items()}
        changed = self._tables.desk.change(_PARTITION, self._unsettled)
        changed += self._tables.silences.change(_PARTITION, encoded)
        if changed:
            await self._outbox.settle(changed)
        self._unsettled = {}
        engine = self._tables.engine.change(_PARTITION, detection.engine_changes())
        if engine:
            await self._outbox.settle(engine)

    async def _tell_standstill(self, detection: Detection) -> None:
        """The state first: no record leads to this alert, so that after a crash only the state knows of it."""
        if not self._untold:
            return
        await self._persist(detection)
        await self._outbox.write(self._rows(self._untold))
        self._untold = []

    def _rows(self, alerts: Iterable[Alert]) -> list[Outgoing]:
        now_ms = self._outbox.clock()
        return [alerting(alert, now_ms) for alert in alerts]


def _answered(answer: Answer) -> Iterator[Outgoing]:
    if answer.audit:
        yield keyed(*answer.audit)
    yield keyed(VERDICTS, answer.verdict)
