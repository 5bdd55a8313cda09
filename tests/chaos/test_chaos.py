"""Under fire: real processes on a real broker, ``kill -9`` and rebalances under load, and what must be true all the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.kafka import EmbeddedKafka
from infra.key_files import ensure_keys
from infra.ports import free_port
from infra.topics import create_topics
from ingest.tokens import TokenKeys
from schemas.topics import ALERTS, HEARTBEATS, LIVENESS
from tests.chaos import oracle
from tests.chaos.fleet import Fate, Fleet
from tests.chaos.havoc import Havoc
from tests.chaos.parts import Kept
from tests.chaos.topics import Recorder
from tests.deadline import eventually
from tests.figures import Tell

INTERVAL_S, GRACE_MS = 1, 1_000
DEADLINE_S = 3 * INTERVAL_S + GRACE_MS / 1000
# After the last kill: a session that ends, tables that are read again, a fresh deadline.
SETTLED_S = 60.0
SEED = 5


class Size(NamedTuple):
    """How much of it: ``span_s`` is what the fleet's script takes, not shorter than the havoc."""

    clients: int
    kills: int
    rebalances: int
    pause_s: float
    span_s: float


SHORT = Size(clients=60, kills=3, rebalances=1, pause_s=1.5, span_s=12.0)
LONG = Size(clients=300, kills=100, rebalances=50, pause_s=3.5, span_s=400.0)


class Stage(NamedTuple):
    """The parts under fire and what is seen from outside."""

    edge: Kept
    workers: list[Kept]
    third: Kept
    fleet: Fleet
    topics: Recorder


@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
async def test_nobody_is_blamed_and_nobody_missed(size: Size, tmp_path: Path, tell: Tell) -> None:
    async with staged(size, tmp_path) as stage:
        living = asyncio.create_task(stage.fleet.run())
        began_s = time.monotonic()
        havoc = Havoc(stage.edge, stage.workers, stage.third, size.pause_s, SEED)
        try:
            await havoc.run(size.kills, size.rebalances)
            await asyncio.sleep(max(0.0, began_s + size.span_s - time.monotonic()))
            await eventually(lambda: differences(stage.topics) == {}, SETTLED_S, "the final table is the oracle's")
            await eventually(lambda: complaints(stage) == {}, SETTLED_S, "all is as it must be")
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            tell(summary(stage, havoc, time.monotonic() - began_s))
    assert (havoc.kills, havoc.rebalances) == (size.kills, size.rebalances)


@contextlib.asynccontextmanager
async def staged(size: Size, directory: Path) -> AsyncIterator[Stage]:
    """A broker, an edge and two workers that take requests and records, and a third that does not run yet."""
    broker = EmbeddedKafka(directory, free_port())
    await broker.start()
    keys, port = ensure_keys(directory / "data" / "edge-0"), free_port()
    environment = {**keys.environment(), **settings(broker.bootstrap, port)}
    edge = Kept("edge", 0, environment, directory)
    workers = [Kept("processors", number, environment, directory) for number in range(3)]
    try:
        await create_topics(broker.bootstrap, replication_factor=1)
        for part in (edge, *workers[:2]):
            part.start()
        for part in (edge, *workers[:2]):
            await asyncio.wait_for(part.ready.wait(), 60)
        fleet = Fleet(size.clients, TokenKeys.from_file(keys.token_keys), port, INTERVAL_S, size.span_s)
        async with Recorder(broker.bootstrap) as topics:
            yield Stage(edge, workers[:2], workers[2], fleet, topics)
    finally:
        for part in (edge, *workers):
            await part.end()
        await broker.stop()


def settings(bootstrap: str, port: int) -> dict[str, str]:
    """Short intervals and short memories, so that much happens in little time."""
    return {
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_EDGE_PORT": str(port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        "VIWORKS_HEARTBEAT_INTERVAL_S": str(INTERVAL_S),
        "VIWORKS_TICK_INTERVAL_S": "0.25",
        "VIWORKS_CLIENT_RATE_PER_S": "50",
        "VIWORKS_LIVENESS_GRACE_MS": str(GRACE_MS),
        "VIWORKS_LIVENESS_GAP_MS": "1500",
        "VIWORKS_EDGE_SILENCE_MS": "2000",
        "VIWORKS_SESSION_TIMEOUT_S": "6",
        "VIWORKS_COMMIT_INTERVAL_S": "0.5",
        "VIWORKS_PROCESSOR_APP_ID": f"chaos-{os.getpid()}",
    }


def differences(topics: Recorder) -> dict[str, tuple[str | None, str]]:
    """Where the newest records of the liveness topic are not what the heartbeats say: (found, wanted) by client."""
    wanted = oracle.replayed_states(topics.of(HEARTBEATS), topics.watermark_ms, GRACE_MS)
    found = oracle.newest_states(topics.of(LIVENESS))
    return {client: (found.get(client), state) for client, state in wanted.items() if found.get(client) != state}


def complaints(stage: Stage) -> dict[str, object]:
    """All that is not as it must be, by what it is."""
    topics, fleet = stage.topics, stage.fleet
    beats, alerts = topics.of(HEARTBEATS), topics.of(ALERTS)
    silent = {client for client, fate in fleet.fates.items() if fate is Fate.SILENT}
    states = oracle.newest_states(topics.of(LIVENESS))
    incidents = {alert["rule"] for alert in alerts if not alert["client_id"]} - {"ingest_blind"}
    told = {alert["client_id"] for alert in alerts if (alert["rule"], alert["status"]) == ("offline", "firing")}
    events = {(each.client_id, each.what) for each in fleet.events}
    online = {client for client, state in states.items() if state == "online"}
    found = {
        "declared offline while it beat": oracle.false_verdicts(beats, topics.of(LIVENESS), GRACE_MS),
        "silent and not declared offline": [client for client in silent if states.get(client) != oracle.MISSED],
        "silent and nobody told": [] if incidents else sorted(silent - told),
        "accepted and not on Kafka": oracle.lost(((a.client_id, a.sent_ms, a.answered_ms) for a in fleet.accepted), beats),
        "events without an alert": events - oracle.told_of(alerts, "high_severity"),
        "alerts that contradict": oracle.contradictions(alerts),
        "back, and its alert still fires": oracle.unresolved(alerts, "offline") & online,
    }
    return {what: cases for what, cases in found.items() if cases}


def summary(stage: Stage, havoc: Havoc, took_s: float) -> str:
    beats, liveness, alerts = (stage.topics.of(topic) for topic in (HEARTBEATS, LIVENESS, ALERTS))
    offline = [record for record in liveness if record["state"] == "offline" and record["reason"] == oracle.MISSED]
    spans = {alert["alert_id"] for alert in alerts if alert["rule"] == "ingest_blind"}
    lines = [
        f"{took_s:.0f} s, {len(stage.fleet.fates)} clients, {len(beats):,} heartbeats, {len(stage.fleet.events)} alarms",
        ", ".join(f"{what} {count}" for what, count in sorted(havoc.done.items())),
        f"{len(offline)} offline verdicts, {len(alerts)} alert records, {len(spans)} blind spans",
        f"differences from the oracle: {differences(stage.topics) or 'none'}; complaints: {complaints(stage) or 'none'}",
        *stage.edge.faults,
        *(fault for worker in (*stage.workers, stage.third) for fault in worker.faults),
    ]
    return "\n".join(line[:2_000] for line in lines)
