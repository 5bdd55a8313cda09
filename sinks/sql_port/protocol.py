"""One connection of the SQL port: uvicorn's protocol with a bound on the head, and on how long a request may take to arrive.

uvicorn 0.54 with httptools takes heads of any size, and any byte of a request keeps its connection for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 256 * 1024
# Chunked bodies: the smallest chunk is one byte in six.
_FRAMING_PER_BODY_BYTE = 8


class PortProtocol(HttpToolsProtocol):
    """A connection. ``scope["state"]["close"]`` ends it. ``port_protocol`` makes the class for a port's limits."""

    most_bytes = 0
    timeout_s = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arrived = 0
        self._head_done = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "close": transport.close}
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._set_deadline()
        self._arrived += len(data)
        super().data_received(data)
        if self._arrived > (self.most_bytes if self._head_done else MAX_HEAD_BYTES) and not self.transport.is_closing():
            self.send_400_response("The request is too large.")

    def on_message_begin(self) -> None:
        self._head_done = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_done = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._clear_deadline()
        self._arrived = 0
        super().on_message_complete()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.timeout_s, self.transport.close)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def port_protocol(max_body_bytes: int, timeout_s: float) -> type[PortProtocol]:
    """The protocol for such bodies; a request that has not arrived within ``timeout_s`` seconds ends its connection."""
    most_bytes = MAX_HEAD_BYTES + _FRAMING_PER_BODY_BYTE * max_body_bytes
    return type("LimitedPortProtocol", (PortProtocol,), {"most_bytes": most_bytes, "timeout_s": timeout_s})
