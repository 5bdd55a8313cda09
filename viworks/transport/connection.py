"""One connection to a server: opened by name or address, then one exchange of HTTP/1.1 after the other."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h11

from viworks.errors import AnswerLost, CertificateRefused, PinMismatch, Unreachable
from viworks.transport.exchange import Response
from viworks.transport.pins import PinsDoNotHold
from viworks.transport.wire import Wire

MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024
_MOST_INTERIM = 8


class ConnectionEnded(Unreachable):
    """The server closed a kept connection before it said anything: it had most likely not seen the request."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a connection is to: name or address, port, and whether by TLS."""

    host: str
    port: int
    secure: bool

    @property
    def authority(self) -> str:
        """The value of ``Host`` (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Connection:
    """A connection. Whoever gets an error from it ends it."""

    def __init__(self, wire: Wire, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.idle_since_s = 0.0
        self._wire = wire
        self._used = False
        self._heard = False
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow: not where more has come than was asked for."""
        idle = self._http.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}
        return idle and self._wire.quiet and not self._http.trailing_data[0]

    async def exchange(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> Response:
        """Send a request and read its answer.

        Raises:
            ConnectionEnded, AnswerLost.
            ValueError: the request itself is not of HTTP.
        """
        self._heard = False
        try:
            head = self._http.send(h11.Request(method=method, target=target, headers=list(headers)))
        except h11.LocalProtocolError as error:
            raise ValueError(f"the request cannot be sent: {error}") from None
        rest = (self._http.send(h11.Data(data=body or b"")), self._http.send(h11.EndOfMessage()))
        try:
            await self._wire.write(b"".join(part for part in (head, *rest) if part))
            response = await self._receive()
        except (OSError, h11.RemoteProtocolError) as error:
            kind = ConnectionEnded if self._used and not self._heard else AnswerLost
            raise kind(f"no answer: {_reason(error)}") from error
        self._used = True
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return response

    async def _receive(self) -> Response:
        head: h11.Response | None = None
        body, interim = bytearray(), 0
        while True:
            event = await self._event()
            if isinstance(event, h11.InformationalResponse):
                interim += 1
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Response(head.status_code, _fields(head), bytes(body))
            else:
                raise h11.RemoteProtocolError("the connection has ended")
            if len(body) > MAX_BODY_BYTES or interim > _MOST_INTERIM:
                raise h11.RemoteProtocolError("the answer is too long")

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._wire.read()
            self._heard = self._heard or bool(data)
            self._http.receive_data(data)
        return event

    def abort(self) -> None:
        """End at once."""
        self._wire.abort()

    def close(self) -> None:
        """Begin to end in good order."""
        self._wire.end()

    async def closed(self) -> None:
        """Wait for the end."""
        await self._wire.ended()


async def connect(origin: Origin, addresses: Sequence[str], context: ssl.SSLContext | None, patience_s: float) -> Connection:
    """Open a connection to the first address that answers; each has ``patience_s``.

    Raises:
        PinMismatch, CertificateRefused: whoever answered is not the server; the next address is not tried.
        Unreachable.
    """
    failure: Exception = OSError()
    name = origin.host if context is not None else None
    loop = asyncio.get_running_loop()
    for address in addresses:
        try:
            async with asyncio.timeout(patience_s):
                _, wire = await loop.create_connection(Wire, address, origin.port, ssl=context, server_hostname=name)
        except PinsDoNotHold as refusal:
            raise PinMismatch(origin.host, refusal.presented) from None
        except ssl.SSLCertVerificationError as refusal:
            raise CertificateRefused(origin.host, refusal.verify_message) from None
        except OSError as error:
            failure = error
        else:
            return Connection(wire, context)
    raise Unreachable(f"no connection: {_reason(failure)}") from failure


def _reason(error: Exception) -> str:
    """What to say of an error: OpenSSL's words or the kind. The text of others names addresses."""
    return getattr(error, "reason", None) or type(error).__name__


def _fields(head: h11.Response) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for name, value in head.headers:
        text = value.decode("latin-1")
        key = name.decode("ascii")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields
