"""Bytes to and from one peer, for one reader and writer at a time.

Not asyncio's streams: those do not tell whether an idle connection has said something, and an answer that came unasked for
must never be taken for that of the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

_CLOSING_S = 1.0
# A peer that sends more than is read is made to wait.
_MOST_UNREAD = 256 * 1024


class Wire(asyncio.Protocol):
    """One connection's bytes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._full = False
        self._waiter: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()

    @property
    def quiet(self) -> bool:
        """Whether the connection stands, nothing has come that was not read, and all that was written has left."""
        return not (self._received or self._ended or self._full)

    async def write(self, data: bytes) -> None:
        """Write; wait while the peer reads too slowly, unless it answers already."""
        if self._transport is not None:
            self._transport.write(data)
        await self._until(lambda: not self._full or bool(self._received))

    async def read(self) -> bytes:
        """What has come; nothing at the end. Raises OSError where the connection broke."""
        await self._until(lambda: bool(self._received))
        if not self._received and self._error is not None:
            raise self._error
        data = bytes(self._received)
        self._received.clear()
        if data and self._transport is not None and not self._ended:
            self._transport.resume_reading()
        return data

    def end(self) -> None:
        """Begin to close."""
        if self._transport is not None:
            self._transport.close()

    async def ended(self) -> None:
        """Wait until a close is done: a moment for what TLS says last, no more."""
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._lost.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Close, whatever has not been sent."""
        if self._transport is not None:
            self._transport.abort()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition() and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MOST_UNREAD and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._error = True, exc
        self._lost.set()
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()
