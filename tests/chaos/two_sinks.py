"""Two sinks that share a server, and what befalls them: one sleeps past its session, with a batch in hand or on its way."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver import Client

from infra.ports import free_port
from tests.chaos.heartbeat_source import HeartbeatSource
from tests.deadline import eventually
from tests.sinks.sink_process import ROOT, SinkProcess

_STORED = "SELECT count() FROM viworks.heartbeats"
# Rows that are equal collapse when parts are merged, here they do not.
_WITNESS = (
    "CREATE TABLE viworks.witness (_topic String, _partition Int32, _offset Int64) ENGINE = MergeTree ORDER BY _offset",
    """CREATE MATERIALIZED VIEW viworks.witness_feed TO viworks.witness
    AS SELECT _topic, _partition, _offset FROM viworks.heartbeats""",
)
# A frozen sink is given up after its session timeout, then the other has to join anew and to catch up.
_TAKEN_OVER_S = 120.0


class TwoSinks(HeartbeatSource):
    """Use as an async context manager. ``done`` counts what was carried out, ``late`` how inserts that were late ended."""

    def __init__(self, bootstrap: str, directory: Path, group: str, burst: int, session_s: float, seed: int) -> None:
        super().__init__(bootstrap, burst)
        self.done: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self._directory = directory
        self._port = free_port()
        self._quiet = asyncio.Lock()
        self._chance = random.Random(seed)
        settings = {"sink_session_timeout_s": str(session_s), "sink_batch_rows": "500"}
        self._sinks = {}
        for name in ("one", "other"):
            (directory / name).mkdir()
            dsn = f"http://{name}:password@127.0.0.1:{self._port}/"
            self._sinks[name] = SinkProcess(bootstrap, directory / name, group, clickhouse=dsn, **settings)

    async def __aenter__(self) -> TwoSinks:
        arguments = ("-m", "tests.chaos.late_inserts", str(self._directory), str(self._port))
        pipe = asyncio.subprocess.PIPE
        self._engine = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe)
        assert self._engine.stdout
        assert await asyncio.wait_for(self._engine.stdout.readline(), 60) == b"ready\n"
        for sink in self._sinks.values():
            await sink.start()
        self._client: Client = await asyncio.to_thread(clickhouse_connect.get_client, host="127.0.0.1", port=self._port)
        for statement in _WITNESS:
            await asyncio.to_thread(self._client.command, statement)
        return self

    async def __aexit__(self, *_: object) -> None:
        for sink in self._sinks.values():
            await sink.kill()
        self._engine.kill()
        await self._engine.wait()

    async def run(self, **rounds: int) -> None:
        """Each round of these names so many times, in mixed order, while heartbeats come without pause."""
        plan = [name for name, count in rounds.items() for _ in range(count)]
        self._chance.shuffle(plan)
        producing = asyncio.create_task(self._produce_forever())
        for name in plan:
            began_s = time.monotonic()
            await getattr(self, name)()
            self.done[name] += 1
            print(f"{time.strftime('%H:%M:%S')} {dict(self.done)} {time.monotonic() - began_s:.0f} s", flush=True)  # noqa: T201
        self._ending = True
        await producing
        await self._stored(self.sent)

    async def zombie(self) -> None:
        """Wherever it is; the other has written all that Kafka had before it wakes up."""
        await asyncio.sleep(self._chance.uniform(0.3, 1.3))
        name = self._chance.choice(sorted(self._sinks))
        self._sinks[name].send(signal.SIGSTOP)
        await self._taken_over()
        self._sinks[name].send(signal.SIGCONT)

    async def late_zombie(self) -> None:
        """Its insert is on its way until the other has written the same records."""
        (self._directory / "hold").touch()
        held, outcome, release = (self._directory / name for name in ("held", "outcome", "release"))
        await eventually(held.exists, 30, "an insert is kept back")
        frozen = self._sinks[held.read_text()]
        frozen.send(signal.SIGSTOP)
        await self._taken_over()
        release.touch()
        await eventually(outcome.exists, 30, "it has ended")
        self.late[outcome.read_text()] += 1
        frozen.send(signal.SIGCONT)
        for each in (held, outcome, release):
            each.unlink()

    async def killed(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.3, 1.3))
        sink = self._sinks[self._chance.choice(sorted(self._sinks))]
        await sink.kill()
        await sink.start()

    async def found(self, sql: str) -> int:
        """What a query that gives one number gives."""
        return int(await asyncio.to_thread(self._client.command, sql))  # type: ignore[arg-type]

    async def _produce_forever(self) -> None:
        self._ending = False
        while not self._ending:
            async with self._quiet:
                await self.produce()
            await asyncio.sleep(0.1)

    async def _taken_over(self) -> None:
        """All that is on Kafka is stored by the one that runs; nothing new comes that could be counted for it."""
        async with self._quiet:
            # So that there is something that only the next owner of the frozen one's partitions can store.
            await self.produce()
            await self._stored(self.sent)

    async def _stored(self, count: int) -> None:
        async def reached() -> bool:
            return await self.found(_STORED) >= count

        await eventually(reached, _TAKEN_OVER_S, f"{count} rows are stored")
