"""A TLS server that says what came to it on the wire: bytes before and after the handshake, and whose certificate."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.deadline import eventually
from tests.ingest.pki import Leaf, Pki

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Heard:
    """What one connection heard."""

    flights: list[int] = field(default_factory=list)
    """The bytes of each piece that came before the handshake was done."""
    handshake_done: bool = False
    plaintext: bytes = b""
    certificate: bytes | None = None
    ended: bool = False
    hang_up: Callable[[], None] = lambda: None


@dataclass
class Peer:
    """A running server and what its connections heard."""

    port: int = 0
    connections: list[Heard] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


class _Connection(asyncio.Protocol):
    def __init__(self, context: ssl.SSLContext, peer: Peer) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._heard = Heard()
        peer.connections.append(self._heard)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._heard.hang_up = transport.abort  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard.ended = True

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._heard.handshake_done:
            self._heard.flights.append(len(data))
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
            self._serve()
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())  # type: ignore[attr-defined]

    def _serve(self) -> None:
        if not self._heard.handshake_done:
            self._tls.do_handshake()
            self._heard.handshake_done = True
            self._heard.certificate = self._tls.getpeercert(binary_form=True)
        while data := self._tls.read(65_536):
            self._heard.plaintext += data
            if self._heard.plaintext.endswith((b"\r\n\r\n", b"}")):
                self._tls.write(ANSWER)
        self._transport.close()


@contextlib.asynccontextmanager
async def tls_peer(pki: Pki, leaf: Leaf, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> AsyncIterator[Peer]:
    """A server with the certificate ``leaf`` that asks for a client's certificate of ``pki``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_written(pki, leaf))
    context.load_verify_locations(cadata=pki.ca_pem.decode())
    context.verify_mode, context.maximum_version = ssl.CERT_OPTIONAL, highest
    peer = Peer()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(context, peer), "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        for heard in peer.connections:
            heard.hang_up()
        await eventually(lambda: all(heard.ended for heard in peer.connections), 5)
        server.close()
        await server.wait_closed()


def _written(pki: Pki, leaf: Leaf) -> Path:
    file = pki.directory / f"peer-{leaf.certificate.serial_number:x}.pem"
    file.write_bytes(leaf.pem + leaf.key_pem + pki.ca_pem)
    return file
