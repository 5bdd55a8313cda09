"""Syslog over TLS, TCP or UDP, with CEF as the message."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ssl
import struct
import termios
from asyncio import DatagramTransport, StreamReader, StreamWriter
from urllib.parse import urlsplit

from processors.clock import Clock
from processors.delivery import cef, syslog
from processors.delivery.alert import Alert
from processors.delivery.errors import Unavailable
from processors.delivery.http_post import Answer
from processors.delivery.receivers import Receiver
from processors.delivery.sender import Sender

# RFC 5426, 3.2: what a receiver of datagrams should take. On a stream RFC 5425, 4.3.1 asks for 8192 bytes.
_DATAGRAM_BYTES, _STREAM_BYTES = 2_048, 8_192
_HEAD_BYTES = 512
_POLL_S = 0.005


class SyslogSender(Sender):
    """Sends one message at a time over one connection, which is made anew where it ended."""

    def __init__(self, receiver: Receiver, clock: Clock, product_version: str, hostname: str) -> None:
        super().__init__(receiver, clock)
        self._version = product_version
        self._hostname = hostname
        self._turn = asyncio.Lock()
        parts = urlsplit(receiver.url)
        host, port = parts.hostname or "", parts.port or 0
        tls = ssl.create_default_context(cafile=receiver.ca_file) if parts.scheme == "tls" else None
        self._limit_bytes = _DATAGRAM_BYTES if parts.scheme == "udp" else _STREAM_BYTES
        self._line: _Stream | _Datagrams = _Datagrams(host, port) if parts.scheme == "udp" else _Stream(host, port, tls)

    async def send(self, alert: Alert) -> Answer:
        message = self.message(alert)
        async with self._turn:
            try:
                async with asyncio.timeout(self.receiver.timeout_s):
                    return Answer(await self._line.send(message))
            except (OSError, ssl.SSLError, EOFError) as error:
                self._line.drop()
                raise Unavailable(type(error).__name__) from None
            except asyncio.CancelledError:
                # Half a message may be on its way: what follows it would be read as its rest.
                self._line.drop()
                raise

    def message(self, alert: Alert) -> bytes:
        """The whole syslog message, of bounded size."""
        text = cef.message(alert, self._version, self._limit_bytes - _HEAD_BYTES)
        return syslog.message(alert.severity, alert.timestamp, self._hostname, alert.rule, text, self._version)

    async def close(self) -> None:
        self._line.drop()


class _Stream:
    """A TCP connection, with TLS or without."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._open: tuple[StreamReader, StreamWriter] | None = None

    async def send(self, message: bytes) -> str:
        """Return once the other machine has acknowledged every byte: syslog itself has no acknowledgement."""
        _, writer = self._open = await self._connection()
        writer.write(syslog.framed(message))
        await writer.drain()
        while _unacknowledged(writer):  # noqa: ASYNC110 - the kernel tells nobody when that changes
            await asyncio.sleep(_POLL_S)
        return "acknowledged by TCP"

    def drop(self) -> None:
        """Cut the connection; the next message opens another."""
        if self._open:
            self._open[1].transport.abort()
        self._open = None

    async def _connection(self) -> tuple[StreamReader, StreamWriter]:
        if self._open and not self._open[0].at_eof() and not self._open[1].is_closing():
            return self._open
        self.drop()
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        # Not 0: asyncio's TLS would take an empty buffer for a full one.
        writer.transport.set_write_buffer_limits(high=1, low=0)
        return reader, writer


class _Datagrams:
    """UDP: whether anything arrives is unknown."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._transport: DatagramTransport | None = None

    async def send(self, message: bytes) -> str:
        if self._transport is None or self._transport.is_closing():
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(self._host, self._port)
            )
        self._transport.sendto(message)
        return "sent"

    def drop(self) -> None:
        if self._transport:
            self._transport.abort()
        self._transport = None


def _unacknowledged(writer: StreamWriter) -> bool:
    """Whether bytes wait in this process or in the kernel. Raises ConnectionError where the connection broke."""
    if writer.is_closing():
        raise ConnectionResetError
    if writer.transport.get_write_buffer_size():
        return True
    waiting = bytearray(4)
    with contextlib.suppress(OSError):  # a kernel that does not tell
        fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, waiting)
    return bool(struct.unpack("i", waiting)[0])
