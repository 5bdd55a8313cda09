"""Requests that come whole are taken without a task, and answers leave in one write.

uvicorn starts a task for each request, which reads the body by an event and waits; the task, its steps and the coroutines in
it cost 15 to 20 µs a request. A route may name a handler for whole requests (``app.whole_request_handlers``, by target):
where nothing of a request is missing at the end of the read that began it, the handler gets it where it was parsed, and
replies when it can. Any other request (in several reads, behind one that is not answered, ``Expect``) is a task as before.

uvicorn writes head and body apart, and each write is a system call of 5 to 10 µs. An answer whose head carries the length of
the one body event that follows is written at once; any other (streamed, HEAD, without a length) goes uvicorn's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

Header = tuple[bytes, bytes]
Reply = Callable[[dict[str, Any], bytes], None]
"""Takes ASGI's start of a response and its whole body."""
WholeRequestHandler = Callable[[Any, bytes, Reply], None]
"""Takes a request's ASGI scope and body and calls the reply exactly once, now or later. It raises nothing."""
_NOBODY_WAITS = asyncio.Event()
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
        elif message.get("more_body") or not self.write_whole(start, message.get("body", b"")):
            await super().send(start)
            await super().send(message)

    def write_whole(self, start: Any, body: bytes) -> bool:
        """Write a whole answer now. False where uvicorn must decide."""
        if self.flow.write_paused or self.disconnected or self.scope["method"] == "HEAD":
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
    """uvicorn's protocol with ``OneWriteCycle``. Whoever feeds its parser calls ``start_unfinished`` after each read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handlers: Mapping[bytes, WholeRequestHandler] = getattr(self.app, "whole_request_handlers", {})
        # The request that is being read, as long as it may come whole.
        self._unstarted: OneWriteCycle | None = None

    def on_headers_complete(self) -> None:
        if self.url in self._handlers and self.app is self.config.loaded_app and self._is_free():
            scope = cast("dict[str, Any]", self.scope)
            scope.update(method="POST", path=self.url.decode("ascii"), raw_path=self.url, query_string=b"")
            self.cycle = self._unstarted = self._new_cycle()
        else:
            super().on_headers_complete()

    def _is_free(self) -> bool:
        """Whether the request whose head is complete is a plain one, and no other waits on the connection."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        parser = self.parser
        plain = parser.get_method() == b"POST" and parser.get_http_version() == "1.1" and not parser.should_upgrade()
        return plain and not self.expect_100_continue and (cycle is None or cycle.response_complete)

    def _new_cycle(self) -> OneWriteCycle:
        return OneWriteCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=_NOBODY_WAITS,
            expect_100_continue=False,
            keep_alive=self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_message_complete(self) -> None:
        super().on_message_complete()
        cycle, self._unstarted = self._unstarted, None
        if cycle is not None:
            handler = self._handlers[cycle.scope["raw_path"]]
            handler(cycle.scope, bytes(cycle.body), partial(self._reply, cycle))

    def start_unfinished(self) -> None:
        """A request of which a part is missing at the end of a read becomes a task."""
        cycle, self._unstarted = self._unstarted, None
        if cycle is not None and not cycle.disconnected:
            self._start_task(cycle, self.config.loaded_app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = OneWriteCycle  # the class is not a parameter of uvicorn's protocol
        super()._start_asgi_task(cycle, app)

    def _start_task(self, cycle: OneWriteCycle, app: Any) -> None:
        cycle.message_event = asyncio.Event()
        if cycle.body or not cycle.more_body:
            cycle.message_event.set()
        super()._start_asgi_task(cycle, app)

    def _reply(self, cycle: OneWriteCycle, start: dict[str, Any], body: bytes) -> None:
        if not cycle.disconnected and not cycle.write_whole(start, body):
            self._start_task(cycle, partial(_answer, start, body))


async def _answer(start: dict[str, Any], body: bytes, _: Any, __: Any, send: Any) -> None:
    await send(start)
    await send({"type": "http.response.body", "body": body})
