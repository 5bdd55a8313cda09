"""A sink, its broker, and what befalls them: ``kill -9`` of either, rebalances, a sink that sleeps until it is given up."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from infra.kafka import EmbeddedKafka
from sinks.tables import TABLES
from tests.chaos.heartbeat_source import HeartbeatSource
from tests.deadline import eventually
from tests.sinks.sink_process import SinkProcess

SESSION_TIMEOUT_S = 6.0
# Minutes of a client whose rollup does not say what its rows say.
WRONG_MINUTES = """
SELECT count() FROM
(
    SELECT client_id, toStartOfMinute(timestamp) AS minute, count() AS rows, sum(cpu_usage) AS cpu
    FROM viworks.heartbeats GROUP BY client_id, minute
) AS row
FULL JOIN
(
    SELECT client_id, minute, sum(heartbeats) AS counted, sum(cpu_usage_sum) AS cpu
    FROM viworks.heartbeat_rollups GROUP BY client_id, minute
) AS rollup USING (client_id, minute)
WHERE rows != counted OR row.cpu != rollup.cpu
"""


class SinkHavoc(HeartbeatSource):
    """``done`` counts what was carried out; ``sent`` the heartbeats, each of another client and time."""

    def __init__(self, broker: EmbeddedKafka, sink: SinkProcess, group: str, burst: int, seed: int) -> None:
        super().__init__(broker.bootstrap, burst)
        self.done: Counter[str] = Counter()
        self._broker = broker
        self._sink = sink
        self._group = group
        self._chance = random.Random(seed)

    async def run(self, **rounds: int) -> None:
        """Each round of these names so many times, in mixed order; the sink runs afterwards."""
        plan = [name for name, count in rounds.items() for _ in range(count)]
        self._chance.shuffle(plan)
        for name in plan:
            await self.produce()
            await getattr(self, name)()
            self.done[name] += 1
            if self.done.total() % 10 == 0:
                print(f"{time.strftime('%H:%M:%S')} {self.told}; {self.sent:,} heartbeats sent", flush=True)  # noqa: T201

    @property
    def told(self) -> str:
        """What was carried out, each kind counted."""
        return ", ".join(f"{count} x {name}" for name, count in sorted(self.done.items()))

    async def sink_killed(self) -> None:
        """While it starts, catches up, or writes."""
        await asyncio.sleep(self._chance.uniform(0, 0.4))
        await self._sink.kill()
        await self._sink.start()

    async def broker_killed(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.2))
        self._broker.kill()
        await self._broker.wait()
        await self._broker.start()

    async def rebalanced(self) -> None:
        """Another member takes half of the partitions and leaves again."""
        async with self._guest() as guest:
            await eventually(guest.assignment, 60, "the guest has partitions")
            await self.produce()

    async def zombie(self) -> None:
        """Another member has all partitions before the sink wakes up with what it had in hand."""
        await asyncio.sleep(self._chance.uniform(0, 0.3))
        self._sink.send(signal.SIGSTOP)
        partitions = sum(table.topic.partitions for table in TABLES)
        async with self._guest() as guest:
            await eventually(lambda: len(guest.assignment()) == partitions, 60, "the sink was given up")
            self._sink.send(signal.SIGCONT)

    @asynccontextmanager
    async def _guest(self) -> AsyncIterator[AIOKafkaConsumer]:
        guest = AIOKafkaConsumer(
            *(table.topic.name for table in TABLES),
            bootstrap_servers=self._broker.bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            session_timeout_ms=int(SESSION_TIMEOUT_S * 1_000),
            max_poll_interval_ms=600_000,
        )
        try:
            await guest.start()
            yield guest
        finally:
            with suppress(KafkaError):
                await guest.stop()
