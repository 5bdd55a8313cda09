"""A client is killed again and again while its server is too: what it had accepted into its spool arrives, once in SQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.kafka import EmbeddedKafka
from infra.key_files import ensure_keys
from infra.ports import free_port
from infra.topics import create_topics
from tests.chaos import spool_client
from tests.chaos.parts import Kept, KeptSink
from tests.deadline import eventually
from tests.figures import Tell
from tests.ingest.conftest import registry_double
from tests.sinks.sink_process import SinkProcess

CLIENT_ID = "spool-chaos"
SEED = 7
PATIENCE_S = 300.0
ROOT = Path(__file__).parents[2]


class Size(NamedTuple):
    """``lives`` of the client; of ``parts`` of the server one is killed about every ``pause_s`` seconds meanwhile."""

    lives: int
    pause_s: float
    parts: tuple[str, ...]


class Server(NamedTuple):
    """What is killed, and where the clients find it."""

    broker: EmbeddedKafka
    edge: Kept
    sink: KeptSink
    url: str


SHORT = Size(15, 0.4, ("edge", "sink"))
LONG = Size(1_000, 2.0, ("edge", "broker", "sink"))


@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
async def test_what_was_accepted_arrives_once(size: Size, tmp_path: Path, tell: Tell) -> None:
    chance, killed = random.Random(SEED), Counter[str]()
    own = tmp_path / "client"
    own.mkdir()
    async with served(tmp_path) as server:
        await register(own, server)
        began_s, enough = time.monotonic(), asyncio.Event()
        havoc = asyncio.create_task(wreak(server, size, killed, enough))
        try:
            async with nursery(own, server.url) as mother:
                while killed["client"] < size.lives and not havoc.done():
                    await one_life(mother, chance, killed)
        finally:
            enough.set()
            await havoc
        lived_s = time.monotonic() - began_s
        left = await delivered(own, server)
        accepted = (own / "accepted").read_text().split()
        found = await in_sql(server, len(set(accepted)))
    missing = set(accepted) - set(found)
    kills = ", ".join(f"{count} x {name}" for name, count in sorted(killed.items()))
    tell(
        f"killed in {lived_s:.0f} s: {kills}; {len(accepted)} events accepted, {len(found)} in SQL: "
        f"{len(missing)} lost, {sum(found.values()) - len(found)} doubled"
    )
    assert len(accepted) > size.lives
    assert left == 0
    assert missing == set()
    assert set(found.values()) == {1}
    # Of what no life could tell any more there is at most what each of its two reporters had under way.
    assert len(found) - len(accepted) <= 2 * size.lives
    assert killed["client"] == size.lives
    assert set(size.parts) <= killed.keys()


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Server]:
    """A broker, an edge and a sink."""
    broker = EmbeddedKafka(directory / "broker", free_port())
    await broker.start(PATIENCE_S)
    keys, port = ensure_keys(directory / "data" / "edge-0"), free_port()
    environment = {
        **keys.environment(),
        "VIWORKS_KAFKA": broker.bootstrap,
        "VIWORKS_EDGE_PORT": str(port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        "VIWORKS_CLIENT_RATE_PER_S": "100000",
        "VIWORKS_CLIENT_BURST": "1000000",
        "VIWORKS_PRODUCE_TIMEOUT_S": "2",
    }
    edge = Kept("edge", 0, environment, directory)
    sink = KeptSink(SinkProcess(broker.bootstrap, directory, f"sinks-{uuid.uuid4()}"))
    try:
        await create_topics(broker.bootstrap, 1)
        for part in (edge, sink):
            part.start()
            await asyncio.wait_for(part.ready.wait(), PATIENCE_S)
        yield Server(broker, edge, sink, f"http://127.0.0.1:{port}")
    finally:
        await sink.end()
        await edge.end()
        await broker.stop()


async def register(own: Path, server: Server) -> None:
    """Once; all lives go on with what is kept of it."""
    async with registry_double(server.broker.bootstrap), spool_client.opened(own, server.url, CLIENT_ID) as client:
        await client.register()


@contextlib.asynccontextmanager
async def nursery(own: Path, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Where clients are born."""
    command = [sys.executable, "-m", "tests.chaos.spool_client", str(own), url, CLIENT_ID]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def one_life(mother: asyncio.subprocess.Process, chance: random.Random, killed: Counter[str]) -> None:
    """To ``kill -9`` at a random moment: of its start, or of what it does once it runs."""
    assert mother.stdin
    mother.stdin.write(f"{chance.getrandbits(32)}\n".encode())
    pid = int(await _said(mother, "born"))
    if chance.random() > 0.2:
        await _said(mother, "awake")
    await asyncio.sleep(chance.choice((0.05, 0.3, 0.8)) * chance.random())
    os.kill(pid, signal.SIGKILL)
    await _said(mother, "dead")
    killed["client"] += 1


async def _said(mother: asyncio.subprocess.Process, word: str) -> str:
    """What follows the word on the next line that begins with it; a client ends only by being killed."""
    assert mother.stdout
    while True:
        line = (await asyncio.wait_for(mother.stdout.readline(), PATIENCE_S)).decode().split()
        assert line, "the clients' mother ended"
        assert line[0] != "dead" or line[-1] == "-9", f"the client ended by itself with {line[-1]}"
        if line[0] == word:
            return line[-1]


async def wreak(server: Server, size: Size, killed: Counter[str], enough: asyncio.Event) -> None:
    """Kill one part after the other, each at least once, until it is enough; all are back when this returns."""
    chance = random.Random(SEED)
    ways = {"edge": edge_killed, "broker": broker_killed, "sink": sink_killed}
    while not enough.is_set():
        for name in chance.sample(size.parts, len(size.parts)):
            await asyncio.sleep(size.pause_s * chance.uniform(0.2, 1.8))
            killed[name] += 1
            await ways[name](server)
    for part in (server.edge, server.sink):
        await asyncio.wait_for(part.ready.wait(), PATIENCE_S)


async def edge_killed(server: Server) -> None:
    server.edge.kill()


async def sink_killed(server: Server) -> None:
    await asyncio.wait_for(server.sink.ready.wait(), PATIENCE_S)
    server.sink.kill()


async def broker_killed(server: Server) -> None:
    server.broker.kill()
    await server.broker.wait()
    await server.broker.start(PATIENCE_S)


async def delivered(own: Path, server: Server) -> int:
    """How much is left in the spool once its owner has had a quiet server for a while."""
    async with spool_client.opened(own, server.url, CLIENT_ID) as client:
        await eventually(client.flush, PATIENCE_S, "all is delivered")
        return client.spooled


async def in_sql(server: Server, at_least: int) -> Counter[str]:
    """The events of the client, as analysts see them."""
    sink = server.sink.process
    analyst = await sink.client()
    await sink.count(analyst, "events", CLIENT_ID, at_least, within_s=PATIENCE_S)
    sql = "SELECT event_id, error_code FROM events WHERE client_id = {c:String}"
    rows = (await asyncio.to_thread(analyst.query, sql, parameters={"c": CLIENT_ID})).result_rows
    assert {code for _, code in rows} == {"chaos"}, "no finding: a crash is no attack"
    return Counter(event_id for event_id, _ in rows)
