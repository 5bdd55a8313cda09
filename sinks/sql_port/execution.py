"""One statement on its way through the engine: a thread runs it, its result comes through a pipe as it is made.

The engine writes no faster than the client reads, since a full pipe stops it; what is held of a result is the pipe,
however large the result is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from concurrent.futures import Executor

from sinks.errors import QueryRefused
from sinks.sql_port.control import Control, Progress
from sinks.sql_port.guard import refusal
from sinks.sql_port.pipe import PipeReader
from sinks.sql_port.reader import Answer, Prepared

QUERY_WAS_CANCELLED = 394
_KILL_AGAIN_S = 0.2


class Execution:
    """A running statement. ``start`` it, ``read`` it to the end, ask ``answer`` how it went, ``stop`` it in any case."""

    def __init__(self, prepared: Prepared, mark: str, control: Control, threads: Executor) -> None:
        self._prepared = prepared
        self._mark = mark
        self._control = control
        self._threads = threads
        self._cancelled = False
        self._rest = b""
        self._pipe: PipeReader | None = None
        self._work: asyncio.Future[Answer] | None = None

    async def start(self, compression: str) -> None:
        """Let the engine begin. ``compression`` is of the output, in the engine's own names."""
        loop = asyncio.get_running_loop()
        if not self._prepared.shape.is_select:
            self._work = loop.run_in_executor(self._threads, self._run_whole)
            return
        self._pipe = PipeReader()
        self._work = loop.run_in_executor(self._threads, self._run_into, self._pipe.target, compression)

    async def read(self) -> bytes:
        """The next piece of the result; empty at its end, or where it broke off: then ``answer`` raises."""
        if self._pipe is not None:
            return await self._pipe.read()
        if self._work is not None and not self._work.done():
            # Not a SELECT: a short list, which comes as a whole.
            await asyncio.wait([self._work])
            self._rest = b"" if self._work.exception() else self._work.result().body
        rest, self._rest = self._rest, b""
        return rest

    async def answer(self) -> Answer:
        """What the whole of it took. Raises QueryRefused."""
        if self._work is None:
            raise cancelled()
        return await asyncio.shield(self._work)

    async def progress(self) -> Progress | None:
        """How far it is; None where it does not run."""
        return await self._control.progress(self._mark)

    def cancel(self) -> asyncio.Task[None]:
        """End it, on somebody's order: ``answer`` raises QUERY_WAS_CANCELLED."""
        return asyncio.create_task(self.stop())

    async def stop(self) -> None:
        """Return when the engine works on it no longer. The pipe is closed, since a full one would hold the engine."""
        self._cancelled = True
        if self._work is None:
            return
        while not self._work.done():
            with contextlib.suppress(RuntimeError):
                await self._control.kill(self._mark)
            self._close_pipe()
            await asyncio.wait([self._work], timeout=_KILL_AGAIN_S)
        self._close_pipe()
        # Whoever needs the error has asked for it by ``answer``.
        self._work.exception()

    async def release(self) -> None:
        """Give the handle back where the statement never ran."""
        if self._work is None:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._prepared.close)

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    def _run_into(self, target: int, compression: str) -> Answer:
        try:
            self._check_not_cancelled()
            return self._prepared.run_into(target, compression)
        finally:
            os.close(target)
            self._prepared.close()

    def _run_whole(self) -> Answer:
        try:
            self._check_not_cancelled()
            return self._prepared.run()
        finally:
            self._prepared.close()

    def _check_not_cancelled(self) -> None:
        if self._cancelled:
            raise cancelled()


def cancelled() -> QueryRefused:
    """What is said of a query that somebody ended."""
    return refusal(QUERY_WAS_CANCELLED, "Query was cancelled. (QUERY_WAS_CANCELLED)")
