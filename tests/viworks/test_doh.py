"""Names over HTTPS: the message's form against RFC 8484's examples and hostile answers, and a server with a certificate."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.pki import Pki
from tests.viworks.name_service import (
    AAAA,
    CNAME,
    A,
    Zone,
    address,
    answered,
    asked,
    message,
    name_service,
    record,
    wire_name,
)
from tests.viworks.scripted_server import answer, scripted
from tests.viworks.test_pins import pin
from viworks.errors import CertificateRefused, NameNotResolved, NoSuchName, PinMismatch, SettingsInvalid
from viworks.transport import HttpTransport, Pins, TlsSettings
from viworks.transport.dns_message import Addresses, RecordType, decode_answer, encode_query
from viworks.transport.doh import DohResolver
from viworks.transport.resolution import PinnedAddresses

NAME = "www.example.com"
HOST = "ingest.example"
RFC_8484_ANSWER = bytes.fromhex(
    "0000 8180 0001 0001 0000 0000 0377 7777 0765 7861 6d70 6c65 0363 6f6d 0000 1c00 01c0"
    "0c00 1c00 0100 000e 7d00 1020 010d b8ab cd00 1200 0100 0200 0300 04"
)
POINTER = b"\xc0\x0c"
V4 = record(POINTER, A, address("192.0.2.1"))


class TestMessage:
    def test_the_answer_of_the_rfc(self) -> None:
        expected = Addresses(("2001:db8:abcd:12:1:2:3:4",), 3709)
        assert decode_answer(RFC_8484_ANSWER, "WWW.Example.COM.", RecordType.AAAA) == expected

    def test_a_query_begins_as_the_rfcs_and_has_one_length(self) -> None:
        query = encode_query(NAME, RecordType.A)
        assert query[:10] + query[12:33] == bytes.fromhex(
            "00000100000100000000" + "0377777707657861 6d706c6503636f6d0000010001"
        )
        assert {len(encode_query("a" * n + ".example", kind)) for n in (1, 20, 50) for kind in RecordType} == {128}
        assert asked(query) == (NAME, A)

    def test_aliases_are_followed_and_the_shortest_time_counts(self) -> None:
        records = [
            record("edge.example.net", A, address("192.0.2.7"), 500),
            record(POINTER, CNAME, wire_name("a.example.net"), 60),
            record("a.example.net", CNAME, wire_name("edge.example.net"), 90),
        ]
        assert decode_answer(message(NAME, A, *records), NAME, RecordType.A) == Addresses(("192.0.2.7",), 60)

    def test_what_belongs_to_another_name_was_not_asked_for(self) -> None:
        poison = message(NAME, A, record("other.example", A, address("192.0.2.66")))
        assert decode_answer(poison, NAME, RecordType.A).found == ()

    def test_no_such_name_is_not_the_same_as_no_answer(self) -> None:
        with pytest.raises(NoSuchName):
            decode_answer(message(NAME, A, code=3), NAME, RecordType.A)
        with pytest.raises(NameNotResolved, match="code 2") as caught:
            decode_answer(message(NAME, A, code=2), NAME, RecordType.A)
        assert not isinstance(caught.value, NoSuchName)

    @pytest.mark.parametrize(
        "hostile",
        {
            "empty": b"",
            "a query": message(NAME, A, V4, flags=0x0100),
            "truncated": message(NAME, A, V4, flags=0x8380),
            "another id": b"\x00\x01" + message(NAME, A, V4)[2:],
            "another name": message("www.example.org", A, V4),
            "another kind": message(NAME, AAAA, V4),
            "cut": message(NAME, A, V4)[:-1],
            "a length beyond the end": message(NAME, A, record(POINTER, A, b"")[:-2] + b"\xff\xff"),
            "five bytes of address": message(NAME, A, record(POINTER, A, b"12345")),
            "a pointer to itself": message(NAME, A, record(struct.pack("!H", 0xC000 | 33), A, address("192.0.2.1"))),
            "a pointer forwards": message(NAME, A, record(struct.pack("!H", 0xC000 | 60), A, address("192.0.2.1")), V4),
            "a reserved label": message(NAME, A, record(b"\x80ab\x00", A, address("192.0.2.1"))),
            "a label that is no text": message(NAME, A, record(b"\x02\xff\xff\x00", A, address("192.0.2.1"))),
            "a ring of aliases": message(NAME, A, record(POINTER, CNAME, wire_name(NAME))),
            "too many records": message(NAME, A, *[V4] * 65),
            "too long": message(NAME, A, record(POINTER, 16, b"x" * 9000)),
            "an endless name": message(NAME, A, record(b"\x3f" + b"x" * 63 + b"\xc0\x0c", A, b"1234"), *[V4] * 3)[:60],
        }.items(),
        ids=lambda item: item[0],
    )
    def test_what_is_no_answer(self, hostile: tuple[str, bytes]) -> None:
        with pytest.raises(NameNotResolved):
            decode_answer(hostile[1], NAME, RecordType.A)

    def test_names_of_pointers_to_pointers_stay_short(self) -> None:
        long = b"\x3f" + b"x" * 63
        first = record(long * 3 + POINTER, 16, b"")
        with pytest.raises(NameNotResolved):
            decode_answer(
                message(NAME, A, first, record(long + struct.pack("!H", 0xC000 | 33), 16, b"")), NAME, RecordType.A
            )

    @given(st.data())
    def test_changed_answers_are_read_or_refused(self, data: st.DataObject) -> None:
        good = bytearray(message(NAME, A, record(POINTER, CNAME, wire_name("a.b")), record("a.b", A, address("192.0.2.1"))))
        for _ in range(data.draw(st.integers(1, 6))):
            good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(NameNotResolved):
            assert len(decode_answer(bytes(good), NAME, RecordType.A).found) <= 1

    @given(st.binary(max_size=300))
    def test_any_bytes(self, tail: bytes) -> None:
        for hostile in (tail, message(NAME, A)[:7] + b"\x30" + message(NAME, A)[8:] + tail):
            with contextlib.suppress(NameNotResolved):
                decode_answer(hostile, NAME, RecordType.A)

    @pytest.mark.parametrize("name", ["", ".", "a..b", "-a", "a b", "x" * 64, ".".join(["x" * 60] * 5), "bücher.example"])
    def test_names_that_are_none(self, name: str) -> None:
        with pytest.raises(SettingsInvalid):
            encode_query(name, RecordType.A)


ZONE: Zone = {(HOST, A): ["127.0.0.1", "192.0.2.1"], (HOST, AAAA): ["::1"], ("v4.example", A): ["127.0.0.1"]}


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@contextlib.asynccontextmanager
async def resolver(url: str, pki: Pki, **options: object) -> AsyncIterator[DohResolver]:
    tls = options.pop("tls", TlsSettings(pki.ca_pem))
    opened = DohResolver(url, ["127.0.0.1"], tls=tls, **options)  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        await opened.close()


def refusing(query: bytes) -> bytes:
    return message(*asked(query), code=2)


class TestResolver:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_both_kinds_of_address_by_both_methods(self, pki: Pki, method: str) -> None:
        async with name_service(pki, lambda query: answered(ZONE, query)) as service:
            async with resolver(service.url, pki, method=method) as names:
                assert await names.resolve(HOST) == ("127.0.0.1", "192.0.2.1", "::1")
                assert await names.resolve("v4.example") == ("127.0.0.1",)
            assert all(head.startswith(f"{method} /dns-query".encode()) for head in service.requests)
            assert all(b"accept: application/dns-message" in head.lower() for head in service.requests)

    async def test_a_server_is_reached_by_the_name_that_was_resolved(self, pki: Pki) -> None:
        zone: Zone = {("localhost", A): ["127.0.0.1"]}
        async with (
            name_service(pki, lambda query: answered(zone, query)) as service,
            resolver(service.url, pki) as names,
            scripted([answer()]) as server,
        ):
            transport = HttpTransport(server.url, resolver=names)
            assert (await transport.request("GET", "/", {}, None)).status == 200
            await transport.close()

    async def test_answers_are_kept_for_their_time_and_used_longer_while_nobody_answers(self, pki: Pki) -> None:
        now = [0.0]
        async with (
            name_service(pki, lambda query: answered(ZONE, query)) as service,
            resolver(service.url, pki, clock=lambda: now[0]) as names,
        ):
            found = await names.resolve(HOST)
            now[0] = 299.0
            assert await names.resolve(HOST) == found
            assert len(service.requests) == 2
            now[0], service.status = 301.0, "503 Service Unavailable"
            assert await names.resolve(HOST) == found
            now[0] = 301.0 + 24 * 3600
            with pytest.raises(NameNotResolved, match="503"):
                await names.resolve(HOST)

    async def test_without_an_answer_nobody_else_is_asked_unless_told_so(self, pki: Pki) -> None:
        async with name_service(pki, refusing) as service:
            async with resolver(service.url, pki) as strict:
                with pytest.raises(NameNotResolved, match="code 2"):
                    await strict.resolve(HOST)
            other = PinnedAddresses({HOST: ["192.0.2.9"]})
            async with resolver(service.url, pki, fallback=other) as opportunistic:
                assert await opportunistic.resolve(HOST) == ("192.0.2.9",)

    async def test_where_there_is_no_such_name_nobody_else_is_asked(self, pki: Pki) -> None:
        other = PinnedAddresses({"none.example": ["192.0.2.9"]})
        async with (
            name_service(pki, lambda query: answered(ZONE, query)) as service,
            resolver(service.url, pki, fallback=other) as names,
        ):
            with pytest.raises(NoSuchName):
                await names.resolve("none.example")

    async def test_a_page_is_no_answer(self, pki: Pki) -> None:
        async with name_service(pki, lambda query: answered(ZONE, query)) as service:
            service.media_type = "text/html"
            async with resolver(service.url, pki) as names:
                with pytest.raises(NameNotResolved, match="not with a DNS message"):
                    await names.resolve(HOST)

    async def test_a_false_name_service_is_told_nothing_and_nobody_else_is_asked(self, pki: Pki, tmp_path: Path) -> None:
        other = PinnedAddresses({HOST: ["192.0.2.9"]})
        impostor = Pki(tmp_path, "Another CA")
        async with name_service(impostor, lambda query: answered(ZONE, query)) as service:
            async with resolver(service.url, pki, fallback=other) as names:
                with pytest.raises(CertificateRefused):
                    await names.resolve(HOST)
            pins = Pins.of(pin(pki.server().certificate), pin(pki.server().certificate))
            async with resolver(service.url, pki, tls=TlsSettings(impostor.ca_pem, pins)) as names:
                with pytest.raises(PinMismatch):
                    await names.resolve(HOST)
            assert service.requests == []

    @pytest.mark.parametrize("url", ["http://localhost/dns-query", "https:///dns-query", "https://dns.example/dns-query"])
    def test_urls_that_cannot_be_used(self, url: str) -> None:
        with pytest.raises(SettingsInvalid):
            DohResolver(url)
