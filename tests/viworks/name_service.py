"""A DNS-over-HTTPS server with a real certificate (RFC 8484), which answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.ingest.pki import Leaf, Pki

A, CNAME, AAAA = 1, 5, 28
Zone = dict[tuple[str, int], list[str]]


def wire_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\x00"


def record(owner: str | bytes, kind: int, value: bytes, ttl_s: int = 300) -> bytes:
    name = wire_name(owner) if isinstance(owner, str) else owner
    return name + struct.pack("!HHIH", kind, 1, ttl_s, len(value)) + value


def message(name: str, kind: int, *records: bytes, code: int = 0, flags: int = 0x8180) -> bytes:
    head = struct.pack("!6H", 0, flags | code, 1, len(records), 0, 0)
    return head + wire_name(name) + struct.pack("!HH", kind, 1) + b"".join(records)


def address(value: str) -> bytes:
    return ipaddress.ip_address(value).packed


def asked(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0]


def answered(zone: Zone, query: bytes) -> bytes:
    name, kind = asked(query)
    records = [record(name, kind, address(value)) for value in zone.get((name, kind), [])]
    known = any(owner == name for owner, _ in zone)
    return message(name, kind, *records, code=0 if known else 3)


@dataclass
class NameService:
    """A running server: what it answers a query with, and the requests that came."""

    port: int
    respond: Callable[[bytes], bytes]
    status: str = "200 OK"
    media_type: str = "application/dns-message"
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/dns-query"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                body = self.respond(await _query(head, reader))
                fields = f"HTTP/1.1 {self.status}\r\nContent-Type: {self.media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(fields.encode() + body)
        writer.close()


async def _query(head: bytes, reader: asyncio.StreamReader) -> bytes:
    line, _, fields = head.decode().partition("\r\n")
    if line.startswith("GET"):
        text = line.split()[1].partition("?dns=")[2]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    length = next(field for field in fields.split("\r\n") if field.lower().startswith("content-length:"))
    return await reader.readexactly(int(length.partition(":")[2]))


@contextlib.asynccontextmanager
async def name_service(pki: Pki, respond: Callable[[bytes], bytes], leaf: Leaf | None = None) -> AsyncIterator[NameService]:
    leaf = leaf or pki.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = pki.directory / f"names-{leaf.certificate.serial_number:x}.pem"
    file.write_bytes(leaf.pem + leaf.key_pem)
    context.load_cert_chain(file)
    running = NameService(0, respond)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await running.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        await server.wait_closed()
