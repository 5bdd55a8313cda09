"""How far the parts behind the edge are behind it, seen from outside while a fleet beats."""

from __future__ import annotations

import asyncio
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import clickhouse_connect
from aiokafka import AIOKafkaConsumer
from clickhouse_connect.driver.client import Client

from bench.heartbeats import marker
from bench.live_clients import NAME
from bench.liveness import transitions
from bench.signed_clients import SignedClient, now_ms
from ingest.tokens import TokenKeys
from schemas import codec
from schemas.topics import HEARTBEATS

PROBE_EVERY_S = 0.25
POLL_S = 1.0
_NEWEST = (
    "SELECT min(newest), count() FROM (SELECT _partition, max(toUnixTimestamp64Milli(received_at)) AS newest"
    " FROM viworks.heartbeats WHERE received_at > now() - 120 GROUP BY _partition)"
)


class Lag:
    """``processors_ms`` and ``sink_ms`` are all that was measured; ``offline`` whom the processors took for lost.

    The processors' lag: from a probe's heartbeat with another status to the transition that it makes, one probe a partition,
    the edge's own time included. The sink's: how old the newest row is that SQL finds, in the partition where it is oldest;
    too high by what is between two heartbeats of a partition, and by the query.
    """

    def __init__(self) -> None:
        self.processors_ms: list[float] = []
        self.sink_ms: list[float] = []
        self.offline: list[str] = []
        self._asked: dict[tuple[str, str], float] = {}

    async def watch(self, bootstrap: str, port: int, tokens: TokenKeys, sql: Client) -> None:
        """Until cancelled."""
        async with transitions(bootstrap) as consumer, asyncio.TaskGroup() as group:
            group.create_task(self._read(consumer))
            group.create_task(self._probe(port, tokens))
            group.create_task(self._poll(sql))

    @property
    def unanswered(self) -> list[float]:
        """How long probes have waited whose transition has not come yet (ms)."""
        now_s = time.perf_counter()
        return [(now_s - asked_s) * 1000 for asked_s in self._asked.values()]

    async def _probe(self, port: int, tokens: TokenKeys) -> None:
        probes = [SignedClient(marker("probe", number), tokens, port) for number in range(HEARTBEATS.partitions)]
        for status in cycle(("maintenance", "online")):
            for probe in probes:
                # Before it is sent: its transition may be here before its 202 is.
                self._asked[probe.client_id, status] = time.perf_counter()
                if await probe.beat(status) != 202:
                    self._asked.pop((probe.client_id, status), None)
                await asyncio.sleep(PROBE_EVERY_S)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        async for raw in consumer:
            if raw.value is not None:
                self._note(codec.decode(raw.value)[1])

    def _note(self, record: dict[str, Any]) -> None:
        client_id, state = record["client_id"], record.get("state", "")
        asked_s = self._asked.pop((client_id, state), None)
        if asked_s is not None:
            self.processors_ms.append(max(0.0, time.perf_counter() - asked_s) * 1000)
        if state == "offline" and client_id.startswith(NAME):
            self.offline.append(client_id)

    async def _poll(self, sql: Client) -> None:
        while True:
            found = await asyncio.to_thread(sql.query, _NEWEST)
            newest_ms, partitions = found.result_rows[0]
            if partitions == HEARTBEATS.partitions:
                self.sink_ms.append(float(now_ms() - newest_ms))
            await asyncio.sleep(POLL_S)


def analyst(port: int, token_file: Path) -> Client:
    """A client of the SQL port."""
    token = token_file.read_text().strip()
    return clickhouse_connect.get_client(host="127.0.0.1", port=port, username="bench", password=token)
