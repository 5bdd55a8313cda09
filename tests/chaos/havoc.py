"""What goes wrong: ``kill -9`` of edge and processors, and workers that come, go and fall asleep. Seeded, and counted."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence

from tests.chaos.parts import Kept

# Longer than the session of a member of the group, so that the others take its partitions while it sleeps.
ASLEEP_S = 8.0


class Havoc:
    """``kills`` and ``rebalances`` of them, one kill every ``pause_s`` seconds, the rebalances in between."""

    def __init__(self, edge: Kept, workers: Sequence[Kept], third: Kept, pause_s: float, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._edge = edge
        self._workers = workers
        self._third = third
        self._pause_s = pause_s
        self._chance = random.Random(seed)

    async def run(self, kills: int, rebalances: int) -> None:
        """Return when all of it was carried out and all parts run again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill(kills))
            group.create_task(self._rebalance(rebalances))
        await self._third.stop()
        for part in (self._edge, *self._workers):
            await asyncio.wait_for(part.ready.wait(), 120)

    async def _kill(self, count: int) -> None:
        parts = (*self._workers, self._edge)
        while self.kills < count:
            await asyncio.sleep(self._pause_s * self._chance.uniform(0.5, 1.5))
            part = parts[self.kills % len(parts)]
            if part.kill():
                self.done[f"kill -9 {part.name}"] += 1

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return self.done.total() - self.rebalances

    @property
    def rebalances(self) -> int:
        """How many rebalances were brought about."""
        return sum(count for what, count in self.done.items() if not what.startswith("kill"))

    async def _rebalance(self, count: int) -> None:
        while self.rebalances < count:
            if self._chance.random() < 0.3:
                await self._sleep(self._chance.choice(self._workers))
            elif self.rebalances % 2 or self._third.ready.is_set():
                await self._third.stop()
                self.done["third worker left"] += 1
            else:
                self._third.start()
                await asyncio.wait_for(self._third.ready.wait(), 120)
                self.done["third worker joined"] += 1
            await asyncio.sleep(self._pause_s * self._chance.uniform(0.5, 1.5))

    async def _sleep(self, part: Kept) -> None:
        if part.signal(signal.SIGSTOP):
            await asyncio.sleep(ASLEEP_S)
            if part.signal(signal.SIGCONT):
                self.done["worker slept"] += 1
