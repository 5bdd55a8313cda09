"""The edge is away for minutes, and thousands of clients come back: no herd, nothing lost, nobody blamed.

The clients are simulated; when they try again, and at what pace they deliver what they have spooled, is the client library's
own code (``fleet.discipline``).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
import pytest

from fleet.acts import Stage
from fleet.client import make_clients
from fleet.live import LiveFleet, Settings
from fleet.pool import Target
from fleet.scenario import Act, Kind, Scenario
from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles, ensure_keys
from infra.ports import free_port
from infra.topics import create_topics
from ingest.tokens import TokenKeys
from tests.chaos.parts import Kept
from tests.chaos.test_edge_outage import alive, offline, statuses
from tests.chaos.topics import Recorder
from tests.deadline import eventually
from tests.figures import Tell

INTERVAL_S = 30
# After the return: the longest that a client waits, a whole deadline from then on, and some.
AFTER_S = 240.0
STEADY_S = 2.0 * INTERVAL_S
pytestmark = pytest.mark.long


class Size(NamedTuple):
    """``window_s``: over which rates are taken; so long that chance does not decide."""

    clients: int
    outage_s: float
    events_per_s: float
    window_s: int


ONE_MINUTE = Size(clients=500, outage_s=60.0, events_per_s=4.0, window_s=10)
TEN_MINUTES = Size(clients=5_000, outage_s=600.0, events_per_s=40.0, window_s=1)


class Ground(NamedTuple):
    """The parts, and what is seen of them."""

    edge: Kept
    edge_port: int
    sql_port: int
    keys: KeyFiles
    topics: Recorder


class Rates(NamedTuple):
    """Attempts a second, all kinds together: their mean before, and the highest of a window while away and afterwards."""

    steady: float
    away: float
    returning: float


@pytest.mark.parametrize("size", [ONE_MINUTE, TEN_MINUTES], ids=["one-minute", "ten-minutes"])
async def test_a_fleet_returns_without_a_herd(size: Size, tmp_path: Path, tell: Tell) -> None:
    async with ground(tmp_path) as here, living(size, here) as fleet:
        await eventually(lambda: len(alive(here.topics)) == size.clients, 2 * INTERVAL_S + 30, "all are online")
        told = talking(size, fleet)
        times = await away_for(size.outage_s, here.edge, fleet)
        spooled = fleet.deliveries.waiting
        await asyncio.sleep(AFTER_S)
        await eventually(lambda: fleet.deliveries.waiting == 0, 120, "all that was spooled is delivered")
        await eventually(lambda: rows_of(here) == (told.messages, told.messages), 60, "all are rows, once")
        rates, blamed = measured(fleet, times, size.window_s), offline(here.topics)
        incidents = statuses(here.topics, "ingest_blind")
        tell(
            f"{size}: {rates}, {rates.returning / rates.steady:.2f} times; {spooled} spooled at the return; "
            f"{told.messages} events once in SQL; {len(blamed)} taken for offline; {incidents}; "
            f"{dict(fleet.simulation.tally.verdicts)} {dict(fleet.simulation.tally.notes)}"
        )
    assert spooled >= size.events_per_s * size.outage_s / 2
    assert blamed == {}
    assert rates.returning <= 2 * rates.steady
    assert (fleet.deliveries.refused, fleet.deliveries.lost) == (0, 0)
    assert incidents == [["firing", "resolved"]]


@contextlib.asynccontextmanager
async def ground(directory: Path) -> AsyncIterator[Ground]:
    """A broker, an edge, a worker and a sink."""
    broker = EmbeddedKafka(directory, free_port())
    await broker.start()
    keys, edge_port, sql_port = ensure_keys(directory / "data"), free_port(), free_port()
    environment = {
        **keys.environment(),
        **keys.audit_environment(),
        "VIWORKS_KAFKA": broker.bootstrap,
        "VIWORKS_CLICKHOUSE": "",
        "VIWORKS_EDGE_PORT": str(edge_port),
        "VIWORKS_SQL_PORT": str(sql_port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        "VIWORKS_HEARTBEAT_INTERVAL_S": str(INTERVAL_S),
    }
    parts = [Kept(name, 0, environment, directory) for name in ("processors", "sink", "edge")]
    try:
        await create_topics(broker.bootstrap, replication_factor=1)
        for part in parts:
            part.start()
        for part in parts:
            await asyncio.wait_for(part.ready.wait(), 90)
        async with Recorder(broker.bootstrap) as topics:
            yield Ground(parts[-1], edge_port, sql_port, keys, topics)
        assert [part.faults for part in parts] == [[], [], []]
    finally:
        for part in parts:
            await part.end()
        await broker.stop()


@contextlib.asynccontextmanager
async def living(size: Size, here: Ground) -> AsyncIterator[LiveFleet]:
    """The fleet, with API keys of the server's own."""
    clients = make_clients("return", size.clients, time.time_ns() // 1_000_000)
    tokens, expires_s = TokenKeys.from_file(here.keys.token_keys), int(time.time()) + 86_400
    for client in clients:
        client.admit(tokens.issue(client.client_id, client.public_key, 1, expires_s))
    fleet = LiveFleet(clients, Target("127.0.0.1", here.edge_port), Settings(interval_ms=INTERVAL_S * 1000))
    fleet.start(INTERVAL_S * 1000)
    fleet.wind()
    try:
        yield fleet
    finally:
        await fleet.close()


def talking(size: Size, fleet: LiveFleet) -> Stage:
    """Events from now on, until shortly before all is counted; ``messages`` of what is returned says how many."""
    lasting_ms = round((STEADY_S + size.outage_s + AFTER_S - INTERVAL_S) * 1000)
    stage = Stage(fleet.simulation, fleet.beats, fleet.deliveries, "return")
    act = Act(Kind.EVENTS, for_ms=lasting_ms, rate_per_s=size.events_per_s)
    stage.play(Scenario(acts=(act,)), "return")
    return stage


async def away_for(outage_s: float, edge: Kept, fleet: LiveFleet) -> tuple[int, int, int]:
    """A steady while, then the outage: when the while began, when the edge went, and when it was back (s of the run)."""
    steady_s = elapsed_s(fleet)
    await asyncio.sleep(STEADY_S)
    gone_s = elapsed_s(fleet)
    await edge.stop()
    await asyncio.sleep(outage_s)
    edge.start()
    await asyncio.wait_for(edge.ready.wait(), 90)
    return steady_s, gone_s, elapsed_s(fleet)


def measured(fleet: LiveFleet, times: tuple[int, int, int], window_s: int) -> Rates:
    tally, (steady_s, gone_s, back_s) = fleet.simulation.tally, times
    before = tally.rates(steady_s + 1, gone_s)
    return Rates(
        sum(before) / len(before),
        highest(tally.rates(gone_s, back_s), window_s),
        highest(tally.rates(back_s), window_s),
    )


def highest(rates: Sequence[int], window_s: int) -> float:
    """The highest mean of a window, wherever it begins."""
    return max(sum(rates[at : at + window_s]) for at in range(len(rates) - window_s + 1)) / window_s


def elapsed_s(fleet: LiveFleet) -> int:
    return int((fleet.simulation.clock.monotonic_ms() - fleet.simulation.tally.started_ms) / 1000)


def rows_of(here: Ground) -> tuple[int, int]:
    """How many rows and how many different ids the events have."""
    token = here.keys.sql_token.read_text().strip()
    sql = clickhouse_connect.get_client(host="127.0.0.1", port=here.sql_port, username="analyst", password=token)
    query = "SELECT count(), uniqExact(event_id) FROM viworks.events WHERE startsWith(event_id, 'return-')"
    rows, ids = sql.query(query).result_rows[0]
    sql.close()
    return rows, ids
