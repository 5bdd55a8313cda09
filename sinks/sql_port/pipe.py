"""The reading end of a pipe into which a thread writes.

Not the event loop's own ``connect_read_pipe``: uvloop closes such a descriptor twice (uvloop/handles/handle.pyx,
``UVSocketHandle._close``). Between the two another thread may have opened a file under the same number, which is then closed
behind its back: a part that the engine writes, or the rows of an insert.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os

_BUFFER_BYTES = 256 * 1024


class PipeReader:
    """A new pipe's reading end; ``target`` is the descriptor of the other, which is the caller's to close.

    What nobody has read stays in the pipe, so that a full one holds the writer up.
    """

    def __init__(self) -> None:
        self._source: int | None
        self._source, self.target = os.pipe()
        self._readable: asyncio.Future[None] | None = None
        os.set_blocking(self._source, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # more than a user may have in all
                fcntl.fcntl(self.target, fcntl.F_SETPIPE_SZ, _BUFFER_BYTES)

    async def read(self) -> bytes:
        """What is there, once anything is; empty at the end, or once it is closed. Not for two at once."""
        while self._source is not None:
            with contextlib.suppress(BlockingIOError):
                return os.read(self._source, _BUFFER_BYTES)
            await self._wait(self._source)
        return b""

    def close(self) -> None:
        """Whoever writes gets a broken pipe; whoever reads, the end. A second time does nothing."""
        if self._source is None:
            return
        self._wake()
        os.close(self._source)
        self._source = None

    async def _wait(self, source: int) -> None:
        loop = asyncio.get_running_loop()
        self._readable = readable = loop.create_future()
        loop.add_reader(source, self._wake)
        try:
            await readable
        finally:
            self._wake()  # where its caller gave up

    def _wake(self) -> None:
        """Whoever waits looks again. Not after the end: by then the number may be another file's."""
        if self._readable is None or self._source is None:
            return
        asyncio.get_running_loop().remove_reader(self._source)
        readable, self._readable = self._readable, None
        if not readable.done():
            readable.set_result(None)
