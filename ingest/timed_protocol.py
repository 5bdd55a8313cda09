"""How a connection of the edge waits and ends: uvicorn's protocol without its timers, with deadlines for everything.

uvicorn 0.54 stops its only timer, that of idle connections, at any byte, so that a request that drips in lives for ever; and
it answers faults at once, before the answers that are due first, and in plain text.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from ingest.addresses import address_key
from ingest.errors import MEDIA_TYPE, Problem, RequestTimeout
from ingest.front import Front
from ingest.metrics import FRONT_REFUSALS
from ingest.response_cycle import OneWriteProtocol


class TimedProtocol(OneWriteProtocol):
    """A connection from ``address``. Whoever derives from it says what is a request too large or wrong."""

    def __init__(self, front: Front, config: Config, server_state: ServerState, address: str) -> None:
        super().__init__(config, server_state, {"peer": None, "address": address_key(address)})
        self.made = False
        self.on_end: Callable[[], None] = lambda: None
        self._front = front
        self._deadlines = front.deadlines
        self._in_flight = front.in_flight
        # Whether a message is coming in, whether its head is complete, whether the connection is in ``receiving``.
        self._partial = False
        self._head_done = False
        self._timed = False
        # What each unanswered request holds in memory, in order.
        self._held: deque[int] = deque()
        self._last_words: Problem | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.made = True
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._deadlines.forget(self)
        self._in_flight.held -= sum(self._held)
        self._held.clear()
        self._refused = True
        self.on_end()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._deadlines.unread[self] = time.monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._deadlines.unread.pop(self, None)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._partial = False
        if self._timed:
            self._timed = False
            del self._deadlines.receiving[self]
        if self.cycle.response_complete:
            self._deadlines.idle[self] = self._deadlines.now

    def on_response_complete(self) -> None:
        """As uvicorn's, with an entry in a table in place of a timer an answer."""
        self.server_state.total_requests += 1
        self._in_flight.held -= self._held.popleft()
        if self.transport.is_closing():
            self._deadlines.closing[self] = self._deadlines.now
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._last_words is not None:
            self._say_last_words(self._last_words)
        elif not self._partial and not self._refused:
            self._deadlines.idle[self] = self._deadlines.now

    def _wait_for_request(self) -> None:
        """The rest of a request is not there yet: it has until the deadline, however many bytes come until then."""
        self.start_unfinished()
        if not self._timed:
            self._timed = True
            self._deadlines.receiving[self] = time.monotonic()
        if self._head_done:
            self.cycle.transport = cast("Any", _LingeringTransport(self))

    def _refuse(self, problem: Problem) -> None:
        """Answer the message that is coming in with ``problem``, after the answers to those before it, and end."""
        self._refused = True
        FRONT_REFUSALS.labels(problem.slug).inc()
        if self._timed:
            self._timed = False
            self._deadlines.receiving.pop(self, None)
        if self._partial and self._head_done and not self._withdraw():
            self.close()
        elif self._held:
            self._last_words = problem
        else:
            self._say_last_words(problem)

    def _withdraw(self) -> bool:
        """Take the message that is coming in from the application. False where it is answered already, at least in part."""
        if self.pipeline:
            self.pipeline.popleft()
        elif self.cycle.response_started:
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self._in_flight.held -= self._held.pop()
        return True

    def _say_last_words(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(_whole_answer(problem, self.server_state.default_headers))
        if isinstance(problem, RequestTimeout):
            self.close()
        else:
            self.leave()

    def leave(self) -> None:
        """End in order: closing while bytes come in would reset the connection and lose the answer on its way."""
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadlines.lingering[self] = time.monotonic()
        else:
            self.close()

    def time_out(self) -> None:
        """The request has not come in time. Where nothing of it has come there is nobody to tell."""
        self._timed = False
        if self._partial and not self._refused:
            self._refuse(RequestTimeout())
        else:
            self.close()

    def close(self) -> None:
        """Send what is written, then end."""
        if not self.transport.is_closing():
            self.transport.close()
        self._deadlines.closing.setdefault(self, time.monotonic())

    def abort(self) -> None:
        """End now."""
        self.transport.abort()


class _LingeringTransport:
    """The transport as a request sees it whose body is still coming in when it is refused."""

    def __init__(self, protocol: TimedProtocol) -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        self._protocol.leave()


def _whole_answer(problem: Problem, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    body = problem.body()
    fields = [
        *default_headers,
        *problem.answer_headers.items(),
        (b"content-type", MEDIA_TYPE),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    return STATUS_LINE[problem.status] + head + b"\r\n" + body
