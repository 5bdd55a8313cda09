"""HTTP/1.1 to one server over a few kept connections; see decision 0023 for why it is not a general client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from viworks.errors import AnswerLost, SettingsInvalid, Unreachable
from viworks.timing import Timing
from viworks.transport.connection import Connection, ConnectionEnded, Origin, connect
from viworks.transport.exchange import Response
from viworks.transport.resolution import Resolver, SystemResolver, is_address
from viworks.transport.shape import TrafficShape, padded, with_length
from viworks.transport.tls import Contexts, TlsSettings

# The edge closes what is idle for 75 s: a connection that is closed just then would cost a second attempt.
MAX_IDLE_S = 60.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(slots=True)
class _Outgoing:
    """A request; ``sent`` once it is on a connection whose answer is awaited."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes | None
    sent: bool = False


class HttpTransport:
    """The transport of the library.

    Args:
        base_url: scheme, host and port of the edge. Plain ``http`` is for loopback alone.
        tls: see ``TlsSettings``; the system's authorities and no certificate of its own by default.
        resolver: how the name is resolved; by the system by default.
        timeout_s: of a request as a whole, connecting included.
        max_connections: kept at most; further requests wait, and their time counts.
        shape: padding and jitter against traffic analysis; none by default.

    Raises:
        SettingsInvalid: the URL or the TLS settings cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tls: TlsSettings | None = None,
        resolver: Resolver | None = None,
        timeout_s: float = 15.0,
        max_connections: int = 4,
        shape: TrafficShape | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.origin = origin_of(base_url)
        self._contexts = Contexts(tls or TlsSettings()) if self.origin.secure else None
        self._resolver = resolver or SystemResolver()
        self._timeout_s = timeout_s
        self._shape = shape or TrafficShape(padded=False)
        self._timing = timing or Timing()
        self._places = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._closed = False

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Send a request for a path with its query.

        Raises:
            AnswerLost: it was sent, and no answer came.
            Unreachable: it was not sent; its subclasses say more.
            ValueError: the request itself is not of HTTP.
        """
        named = {"Host": self.origin.authority, **headers}
        fields, body = padded(method, target, named, body) if self._shape.padded else (with_length(named, body), body)
        outgoing = _Outgoing(method, target, fields, body)
        if self._shape.jitter_ms:
            await self._timing.sleep(self._shape.delay_s(self._timing.fraction))
        try:
            async with asyncio.timeout(self._timeout_s), self._places:
                return await self._exchange(outgoing)
        except TimeoutError:
            kind = AnswerLost if outgoing.sent else Unreachable
            raise kind(f"no answer within {self._timeout_s:g} s") from None

    async def _exchange(self, outgoing: _Outgoing) -> Response:
        try:
            return await self._on(await self._connection(), outgoing)
        except ConnectionEnded:
            outgoing.sent = False
            # Once, and not on another kept connection: that may have been closed in the same moment.
            return await self._on(await self._opened(self._context()), outgoing)

    async def _on(self, connection: Connection, outgoing: _Outgoing) -> Response:
        outgoing.sent = True
        try:
            response = await connection.exchange(outgoing.method, outgoing.target, outgoing.fields, outgoing.body)
        except BaseException:  # a cancelled exchange leaves half an answer on the connection
            connection.abort()
            raise
        self._keep(connection)
        return response

    async def _connection(self) -> Connection:
        """The connection that was used last, where it may be used again, or a new one."""
        context = self._context()
        while self._idle:
            connection = self._idle.pop()
            young = asyncio.get_running_loop().time() - connection.idle_since_s < MAX_IDLE_S
            if young and connection.reusable and connection.context is context:
                return connection
            connection.close()
        return await self._opened(context)

    async def _opened(self, context: ssl.SSLContext | None) -> Connection:
        host = self.origin.host
        addresses = [host] if is_address(host) else await self._resolver.resolve(host)
        # So long that a slow one is waited for, so short that each is tried within the request's time.
        return await connect(self.origin, addresses, context, self._timeout_s / len(addresses))

    def _keep(self, connection: Connection) -> None:
        if not self._closed and connection.reusable and connection.context is self._context():
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def _context(self) -> ssl.SSLContext | None:
        return self._contexts.current() if self._contexts else None

    async def close(self) -> None:
        """Close the idle connections; a request that is under way ends first and closes its own."""
        self._closed = True
        connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.closed() for connection in connections))


def origin_of(base_url: str) -> Origin:
    """Read a base URL. Raises SettingsInvalid where it is none, or plain HTTP to another machine."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
        host_is_ascii = host is not None and host.isascii()
    except ValueError:
        raise SettingsInvalid("the server's URL cannot be read") from None
    if host is None or not host_is_ascii or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query:
        raise SettingsInvalid("the server's URL is scheme, host and port: https://ingest.example:8443")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise SettingsInvalid("plain http is for this machine alone: API keys travel in it; use https")
    return Origin(host, port or (443 if parts.scheme == "https" else 80), parts.scheme == "https")
