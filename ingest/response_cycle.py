"""Answers that leave in one write: uvicorn writes head and body apart, and each write is a system call of 5 to 10 µs.

``OneWriteProtocol`` is uvicorn's own protocol but for that. An answer whose head carries the length of the one body event
that follows is written at once; any other (streamed, HEAD, without a length) goes uvicorn's way.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

Header = tuple[bytes, bytes]
_NOT_PLAIN = (b"connection", b"transfer-encoding")


@lru_cache(maxsize=1024)
def plain_head(status: int, headers: tuple[Header, ...]) -> tuple[bytes, int] | None:
    """The head of an answer without its last line, and the length that it announces; None where uvicorn must decide.

    Kept, since the edge's answers share a few heads: rendering one costs 4 µs.
    """
    lines, length = [STATUS_LINE[status]], -1
    for name, value in headers:
        if name in _NOT_PLAIN or name != name.lower() or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
            return None
        if name == b"content-length":
            length = int(value)
        lines += [name, b": ", value, b"\r\n"]
    return (b"".join(lines), length) if length >= 0 else None


class OneWriteCycle(RequestResponseCycle):
    """Holds the start of an answer until its body comes."""

    held: Any = None

    async def send(self, message: Any) -> None:
        """ASGI's send. Raises what uvicorn's raises."""
        if message["type"] == "http.response.start" and not self.response_started:
            self.held = message
            return
        start, self.held = self.held, None
        if start is None:
            await super().send(message)
        elif not self._write_whole(start, message):
            await super().send(start)
            await super().send(message)

    def _write_whole(self, start: Any, message: Any) -> bool:
        body = message.get("body", b"")
        if message.get("more_body") or self.flow.write_paused or self.disconnected or self.scope["method"] == "HEAD":
            return False
        plain = plain_head(start["status"], self._headers(start))
        if plain is None or plain[1] != len(body):
            return False
        self.transport.write(plain[0] + (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n") + body)
        self._complete()
        return True

    def _headers(self, start: Any) -> tuple[Header, ...]:
        headers: Iterable[Header] = start.get("headers", ())
        return tuple(self.default_headers + list(headers)) if self.default_headers else tuple(headers)

    def _complete(self) -> None:
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's protocol with ``OneWriteCycle``."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = OneWriteCycle  # the class is not a parameter of uvicorn's protocol
        super()._start_asgi_task(cycle, app)
