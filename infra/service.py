"""What the supervisor keeps alive: anything that starts, ends and can be stopped. A broker is one, a part is one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra.child import Child
from infra.errors import PartNotStarted
from infra.log_lines import readable
from infra.notify import VARIABLE, Inbox


class Service(Protocol):
    """A process, or what stands for one."""

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""

    async def start(self, timeout_s: float) -> None:
        """Start it; returns when it serves. Raises InfraError where it does not within ``timeout_s`` seconds."""

    async def wait(self) -> int:
        """Wait for its end and return the exit status."""

    async def stop(self, timeout_s: float) -> None:
        """End it, by force after ``timeout_s`` seconds."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part to supervise. Parts of a stage start together, stages one after the other.

    Attributes:
        name: the part's name in ``viworks run``, in logs and in ``run.json``.
        stage: its place in the order of starts; stops go the other way.
        command: what to run; by default this program's own ``run NAME``.
        environment: variables besides those that all parts get.
        instances: how many of it run.
    """

    name: str
    stage: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    instances: int = 1

    def argv(self) -> tuple[str, ...]:
        """The command line. ``-P`` keeps the user's working directory from standing in for our packages."""
        return self.command or (sys.executable, "-P", "-m", "infra", "run", self.name)


class PartProcess:
    """One instance of a part as a child process that reports readiness by ``NOTIFY_SOCKET``."""

    def __init__(self, part: Part, instance: int, environment: Mapping[str, str], logs: Path, sockets: Path) -> None:
        self.part = part
        suffix = f"-{instance}" if part.instances > 1 else ""
        self.name = part.name + suffix
        self._log = logs / f"{self.name}.log"
        self._inbox_path = sockets / self.name
        own = {"VIWORKS_INSTANCE": str(instance), VARIABLE: str(self._inbox_path)}
        self._environment = {**os.environ, **environment, **part.environment, **own}
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        return self._child.pid if self._child and self._child.returncode is None else None

    async def start(self, timeout_s: float) -> None:
        """Start the process; returns when it reported ready.

        Raises:
            PartNotStarted: it ended, or was silent for ``timeout_s`` seconds; carries its log's last lines.
        """
        inbox = Inbox(self._inbox_path)
        await inbox.open()
        child = self._child = Child(self.part.argv(), self._log, self._environment)
        try:
            await self._until_ready(inbox, child, timeout_s)
        except BaseException:
            child.kill()
            await child.wait()
            raise
        finally:
            inbox.close()

    async def wait(self) -> int:
        """Wait for the end and return the exit status, negative for a signal."""
        return await self._child.wait() if self._child else 0

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end, by force after ``timeout_s`` seconds."""
        if self._child:
            await self._child.stop(timeout_s)

    def kill(self) -> None:
        """End it and what it started at once."""
        if self._child:
            self._child.kill()

    async def _until_ready(self, inbox: Inbox, child: Child, timeout_s: float) -> None:
        ready, ended = asyncio.create_task(inbox.ready.wait()), asyncio.create_task(child.wait())
        try:
            await asyncio.wait((ready, ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            ended.cancel()
        if child.returncode is not None:
            raise self._not_started(f"ended while it started (status {child.returncode})", child)
        if not inbox.ready.is_set():
            raise self._not_started(f"did not report ready within {timeout_s:.0f} s", child)

    def _not_started(self, what: str, child: Child) -> PartNotStarted:
        lines = [readable(line) for line in child.last_lines()]
        return PartNotStarted(f"The part {self.name} {what}; its log is {self._log}.", lines)
