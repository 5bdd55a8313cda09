"""The real parts as processes that are started again as soon as they end, however they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from infra.errors import PartNotStarted
from infra.service import Part, PartProcess
from tests.sinks.sink_process import SinkProcess

_START_S = 90.0


class Kept:
    """One process of a part, kept alive. ``starts`` counts how often it reported ready."""

    def __init__(self, part: str, instance: int, environment: Mapping[str, str], directory: Path) -> None:
        own = {"VIWORKS_DATA_DIR": str(directory / "data" / f"{part}-{instance}")}
        sockets = directory / "s"
        sockets.mkdir(exist_ok=True)
        self.name = f"{part}-{instance}"
        self._process = PartProcess(
            Part(part, 0, instances=9), instance, {**environment, **own}, directory / "logs", sockets
        )
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.starts = 0
        self.faults: list[str] = []

    def start(self) -> None:
        """Keep it alive from now on."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Let it end, as an operator does."""
        await self._leave_alone()
        await self._process.stop(20.0)
        self.ready.clear()

    async def end(self) -> None:
        """End it at once and for good."""
        await self._leave_alone()
        self._process.kill()
        await self._process.wait()

    async def _leave_alone(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def kill(self) -> bool:
        """``kill -9``; whether there was something to kill."""
        alive = self._process.pid is not None
        self._process.kill()
        return alive

    def signal(self, number: signal.Signals) -> bool:
        """Whether there was a process to send it to."""
        pid = self._process.pid
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, number)
                return True
        return False

    async def _keep(self) -> None:
        while True:
            try:
                await self._process.start(_START_S)
                self.starts += 1
                self.ready.set()
                if status := await self._process.wait():
                    self.faults += [f"{self.name} ended with {status}"] if status > 0 else []
            except PartNotStarted as error:
                if "status -9" not in str(error):
                    self.faults.append(f"{self.name}: {error} {' | '.join(error.detail[-2:])}")
            self.ready.clear()


class KeptSink:
    """A sink with its SQL port, kept alive: one that ends for want of a broker is started again, as its supervisor does."""

    def __init__(self, process: SinkProcess) -> None:
        self.process = process
        self.ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep it alive from now on."""
        self._task = asyncio.create_task(self._keep())

    def kill(self) -> None:
        """``kill -9``, where it runs; ``ready`` is set again once the next one is."""
        if self.ready.is_set():
            self.ready.clear()
            with contextlib.suppress(ProcessLookupError):
                self.process.send(signal.SIGKILL)

    async def end(self) -> None:
        """End it at once and for good."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.process.kill()

    async def _keep(self) -> None:
        while True:
            try:
                await self.process.start()
                self.ready.set()
                await self.process.ended()
            except (AssertionError, TimeoutError):  # it ended while it started, or the machine has other things to do
                pass
            finally:
                self.ready.clear()
                await self.process.kill()
