"""What is done about queries that run: end one, see how far it is. On a handle of its own, which does nothing else."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from sinks.sql_port.reader import Reader


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a query is."""

    read_rows: int
    read_bytes: int
    total_rows: int
    elapsed_ns: int
    memory_bytes: int


class Control:
    """Queries are told by their mark, which no client can choose (``log_comment``)."""

    def __init__(self, reader: Reader) -> None:
        self._handle = reader.handle()
        self._thread = ThreadPoolExecutor(1, "sql-control")

    async def kill(self, mark: str) -> None:
        """Ask the engine to end a query; it does at its next block of rows. Nothing happens where there is none."""
        await self._ask(f"KILL QUERY WHERE {_marked(mark)} ASYNC")

    async def progress(self, mark: str) -> Progress | None:
        """How far a query is; None where it does not run."""
        columns = "read_rows, read_bytes, total_rows_approx, toUInt64(elapsed * 1e9), memory_usage"
        where = f"FROM system.processes WHERE {_marked(mark)} FORMAT JSONCompactEachRow"
        rows = await self._ask(f"SELECT {columns} {where}")
        return Progress(*(int(value) for value in msgspec.json.decode(rows.splitlines()[0]))) if rows else None

    async def close(self) -> None:
        """Give the handle back."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._handle.close)
        self._thread.shutdown()

    async def _ask(self, sql: str) -> bytes:
        result: Any = await asyncio.get_running_loop().run_in_executor(self._thread, self._handle.query, sql)
        return bytes(result.bytes() or b"")


def _marked(mark: str) -> str:
    return f"Settings['log_comment'] = '{mark}'"
