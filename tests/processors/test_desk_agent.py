"""The order of the desk agent's writes, on tables and a broker that only remember it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, NamedTuple

from processors.alerting import sources
from processors.alerts import alert_id
from processors.desk_agent import DeskAgent, DeskTables
from processors.errors import DeliveryFailed
from processors.outbox import Outgoing, signalling, watermark
from processors.rule_book import RuleBook
from schemas import codec
from schemas.topics import HEARTBEATS, SIGNALS
from tests.processors.harness import RULES
from tests.processors.samples import command, event


class Raw(NamedTuple):
    value: bytes | None
    key: bytes | None = b"k"
    topic: str = SIGNALS.name
    partition: int = 0
    offset: int = 0


class FakeTable:
    def __init__(self, name: str, log: list[str]) -> None:
        self._name, self._log = name, log
        self._data: dict[bytes, bytes] = {}

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._data.items())

    def on_recovered(self, callback: Callable[[], None]) -> None:
        self.recovered = callback

    def change(self, partition: int, changes: dict[bytes, bytes | None]) -> list[Awaitable[Any]]:
        self._data |= {key: value for key, value in changes.items() if value is not None}
        return [self._written() for _ in changes]

    async def _written(self) -> None:
        self._log.append(self._name)


class FakeOutbox:
    """``away`` while the broker does not answer."""

    def __init__(self, log: list[str]) -> None:
        self._log, self.away = log, False

    def clock(self) -> int:
        return 1_000_000

    async def write(self, records: Iterable[Outgoing]) -> None:
        for row in list(records):
            if self.away:
                raise DeliveryFailed("as if the broker were away")
            self._log.append(row.topic.name.split(".")[1])

    async def settle(self, waiting: Iterable[Awaitable[Any]]) -> None:
        for each in waiting:
            await each


class Bench:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.steady = 0
        self.tables = DeskTables(*(FakeTable(name, self.log) for name in ("engine", "desk", "silences")))  # type: ignore[arg-type]
        self.outbox = FakeOutbox(self.log)
        self.agent = DeskAgent(self.tables, self.outbox, RuleBook(RULES), lambda: self.steady, 15_000)  # type: ignore[arg-type]

    async def see(self, *values: bytes | None) -> list[str]:
        await self.agent.handle(0, [Raw(value) for value in values])  # type: ignore[misc]
        return self.said()

    async def watch(self) -> list[str]:
        await self.agent.watch()
        return self.said()

    def said(self) -> list[str]:
        """What was written since the last call, in order, repetitions left out."""
        seen = list(dict.fromkeys(self.log))
        self.log.clear()
        return seen


def severe() -> bytes | None:
    return signalling(sources.of_event(event("c", event_id="e", severity="high"), None)).value


def clock(at_ms: int) -> list[bytes | None]:
    return [watermark(number, at_ms).value for number in range(HEARTBEATS.partitions)]


def acknowledging() -> bytes:
    return codec.encode("command", command(alert_id("high_severity", "c", "e"), "alert.acknowledge"))


async def test_alerts_then_the_desk_then_the_engine_then_answers() -> None:
    assert await Bench().see(severe(), acknowledging()) == ["alerts", "desk", "engine", "audit", "verdicts"]


async def test_an_outage_is_persisted_before_it_is_told() -> None:
    bench = Bench()
    await bench.see(*clock(100_000))
    assert await bench.watch() == []
    bench.steady = 15_001
    assert await bench.watch() == ["desk", "alerts"]
    assert await bench.watch() == []
    # After a rebalance it is told again: whoever had the partition may have ended in between.
    bench.tables.desk.recovered()  # type: ignore[attr-defined]
    assert (await bench.watch())[0] == "alerts"


async def test_while_the_broker_is_away_an_outage_waits() -> None:
    bench = Bench()
    await bench.see(*clock(100_000))
    bench.steady, bench.outbox.away = 15_001, True
    assert await bench.watch() == ["desk"]
    bench.outbox.away = False
    assert "alerts" in await bench.watch()
    assert await bench.watch() == []


async def test_an_outage_that_could_not_be_told_is_told_before_its_end() -> None:
    bench = Bench()
    await bench.see(*clock(100_000))
    bench.steady, bench.outbox.away = 15_001, True
    await bench.watch()
    bench.outbox.away = False
    bench.said()
    await bench.agent.handle(0, [Raw(value) for value in clock(400_000)])  # type: ignore[misc]
    assert bench.log[:2] == ["alerts", "alerts"]
