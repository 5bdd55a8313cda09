"""A kept-alive HTTP/1.1 connection with one request under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from fleet.exchange import NO_ANSWER, Answer, Exchange

Answered = Callable[[Exchange, Answer], None]
_MOST_BYTES = 4 * 1024 * 1024


class Connection(asyncio.Protocol):
    """``on_answer`` is told of every end of an exchange, ``on_idle`` when the next may come, ``on_lost`` of the end."""

    def __init__(
        self, on_answer: Answered, on_idle: Callable[[Connection], None], on_lost: Callable[[Connection], None]
    ) -> None:
        self.exchange: Exchange | None = None
        self._on_answer = on_answer
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass of it

    def send(self, request: bytes, exchange: Exchange, now_ms: float) -> None:
        """Write a request; its answer is awaited before the next."""
        exchange.sent_ms = now_ms
        self.exchange = exchange
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        at = data.find(b"\r\n\r\n")
        length = _content_length(data[:at]) if at >= 0 else 0
        if at < 0 or len(data) < at + 4 + length:
            self._received = data
            if len(data) > _MOST_BYTES or length > _MOST_BYTES:
                self.close()
            return
        self._received = b""
        end = at + 4 + length
        self._finish(data[:at], data[at + 4 : end], last=len(data) > end)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        exchange, self.exchange = self.exchange, None
        self._on_lost(self)
        if exchange is not None:
            self._on_answer(exchange, NO_ANSWER)

    def close(self) -> None:
        """End it; what is under way has no answer."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, head: bytes, body: bytes, last: bool) -> None:
        """``last``: there is more after the answer, so that nobody can tell what belongs to what."""
        exchange, self.exchange = self.exchange, None
        if exchange is None or last or b"onnection: close" in head:
            self.close()
        else:
            self._on_idle(self)
        if exchange is not None:
            self._on_answer(exchange, Answer(_status(head), head, body))


def _status(head: bytes) -> int:
    return int(head[9:12]) if head[9:12].isdigit() else 0


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    text = head[at + 17 : (head + b"\r").find(b"\r", at + 17)].strip() if at >= 0 else b"0"
    return int(text) if text.isdigit() and len(text) < 10 else _MOST_BYTES + 1
