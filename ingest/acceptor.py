"""Takes connections off a listening socket: counted before anything is spent on them, the TLS handshake bounded in time.

asyncio's own servers tell a protocol nothing of a connection whose handshake is not done, so that nobody could count those.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from ingest.addresses import address_key
from ingest.connection_caps import ConnectionCaps
from ingest.metrics import HANDSHAKES_FAILED

if TYPE_CHECKING:
    from ingest.protocol import EdgeProtocol

log = logging.getLogger(__name__)

# Few, so that others get their turn between those who come together.
_AT_ONCE = 16
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE_S = 1.0
# How long a client may take to answer the end of a TLS connection.
_TLS_CLOSE_S = 2.0


class Acceptor:
    """One listening socket (bound and listening, non-blocking). Has the face of an asyncio server that uvicorn stops."""

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[str], EdgeProtocol],
        caps: ConnectionCaps,
        context: ssl.SSLContext | None,
        handshake_s: float,
    ) -> None:
        self._listening = listening
        self._make_protocol = make_protocol
        self._caps = caps
        self._tls = {} if context is None else {"ssl_handshake_timeout": handshake_s, "ssl_shutdown_timeout": _TLS_CLOSE_S}
        self._context = context
        self._handshakes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def start(self) -> None:
        """Accept from now on."""
        if not self._closed:
            self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Accept no more; handshakes under way are given up."""
        self._closed = True
        self._loop.remove_reader(self._listening)
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait for the handshakes that were given up."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._take(accepted, address[0])

    def _pause(self, error: OSError) -> None:
        log.error("connections wait: %s", error.strerror)
        if error.errno in _NO_ROOM:
            self._loop.remove_reader(self._listening)
            self._loop.call_later(_PAUSE_S, self.start)

    def _take(self, accepted: socket.socket, address: str) -> None:
        key = address_key(address)
        if not self._caps.enter(key):
            accepted.close()
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._connect(accepted, address, key))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _connect(self, accepted: socket.socket, address: str, key: str) -> None:
        protocol = self._make_protocol(address)
        protocol.on_end = lambda: self._caps.leave(key)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._context, **self._tls)
        except (OSError, asyncio.CancelledError) as error:
            HANDSHAKES_FAILED.labels(_reason(error)).inc()
            accepted.close()
            if not protocol.made:
                self._caps.leave(key)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    return "timeout" if isinstance(error, ConnectionAbortedError) else "other"
