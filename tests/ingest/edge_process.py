"""An edge in a process of its own, as the supervisor starts it: for what only a process shows, its memory and its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx2

from ingest.settings import EdgeSettings
from tests.deadline import eventually

_START_S, _STOP_S = 30, 20


class EdgeProcess(NamedTuple):
    """``log`` is the file of its standard error."""

    url: str
    process: asyncio.subprocess.Process
    log: Path

    def memory_kib(self) -> int:
        """The resident set."""
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, check=True)
        return int(shown.stdout)


@contextlib.asynccontextmanager
async def edge_process(settings: EdgeSettings, log: Path) -> AsyncIterator[EdgeProcess]:
    """A running edge; at the end it is asked to stop, and must do so without a fault."""
    given = settings.model_dump(mode="json", exclude_none=True)
    environment = {**os.environ, **{f"VIWORKS_{name.upper()}": str(value) for name, value in given.items()}}
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "infra", "run", "edge"]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=stderr)
    edge = EdgeProcess(f"http://127.0.0.1:{settings.edge_port}", process, log)
    try:
        await eventually(lambda: _answers(edge), _START_S, "the edge answers")
        yield edge
        process.terminate()
        assert await asyncio.wait_for(process.wait(), _STOP_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answers(edge: EdgeProcess) -> bool:
    assert edge.process.returncode is None, edge.log.read_text()
    try:
        async with httpx2.AsyncClient(base_url=edge.url, trust_env=False) as http:
            return (await http.get("/livez")).status_code == 200
    except httpx2.TransportError:
        return False
