"""HTTP at its edges, on raw sockets: what is malformed, too large, too slow or too much gets its answer and costs little."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx2
import pytest
import pytest_asyncio

from infra.key_files import KeyFiles
from ingest.metrics import CONNECTIONS_ENDED
from ingest.settings import EdgeSettings
from tests.deadline import eventually, promised
from tests.ingest.conftest import edge_settings, serving
from tests.ingest.front_server import front_server, front_settings
from tests.ingest.raw_http import RawConnection, connection, request
from tests.ingest.signed_beats import BEAT, JSON, SignedBeats

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = request("GET", "/livez")


@pytest.fixture
def port(http: httpx2.AsyncClient) -> int:
    port = http.base_url.port
    assert port is not None
    return port


@pytest.fixture(scope="session")
def impatient(bootstrap: str, key_files: KeyFiles) -> EdgeSettings:
    """An edge that waits for nothing longer than a second and takes little."""
    return edge_settings(
        bootstrap,
        key_files,
        request_timeout_s=1.0,
        answer_timeout_s=1.0,
        keep_alive_s=1,
        max_connections_per_address=8,
        max_in_flight_bytes=1024 * 1024,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def strict_port(impatient: EdgeSettings) -> AsyncIterator[int]:
    async with serving(impatient):
        yield impatient.edge_port


class Case(NamedTuple):
    """What is sent; the statuses that come back; the last one's problem; whether the connection is over then."""

    sent: bytes
    statuses: list[int]
    slug: str = ""
    closed: bool = True


def chunked(rest: bytes, *headers: tuple[str, str]) -> bytes:
    return request("POST", BEAT, [JSON, ("Transfer-Encoding", "chunked"), *headers]) + rest


def post(*headers: tuple[str, str]) -> bytes:
    return request("POST", BEAT, [JSON, *headers])


MALFORMED = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64,
    "an unknown method": request("FLY", "/livez"),
    "no target": b"GET  HTTP/1.1\r\nHost: edge\r\n\r\n",
    "a target that is not ASCII": "GET /é HTTP/1.1\r\nHost: edge\r\n\r\n".encode(),
    "CONNECT": request("CONNECT", "edge:443"),
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: edge\n\n",
    "a space before the colon": b"GET /livez HTTP/1.1\r\nHost : edge\r\n\r\n",
    "a folded field": b"GET /livez HTTP/1.1\r\nHost: edge\r\nX-A: b\r\n c\r\n\r\n",
    "a NUL in a field": b"GET /livez HTTP/1.1\r\nHost: edge\r\nX-A: b\0c\r\n\r\n",
    "a bare CR in a field": b"GET /livez HTTP/1.1\r\nHost: edge\r\nX-A: b\rX-C: d\r\n\r\n",
    "no Host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two Hosts": request("GET", "/livez", [("Host", "other")]),
    "Content-Length and Transfer-Encoding": chunked(b"0\r\n\r\n", ("Content-Length", "5")),
    "Transfer-Encoding and Content-Length": post(("Content-Length", "5"), ("Transfer-Encoding", "chunked")) + b"0\r\n\r\n",
    "two Content-Lengths": post(("Content-Length", "2"), ("Content-Length", "3")) + b"{}",
    "one Content-Length twice": post(("Content-Length", "2"), ("Content-Length", "2")) + b"{}",
    "a list of Content-Lengths": post(("Content-Length", "2, 2")) + b"{}",
    "a signed Content-Length": post(("Content-Length", "+2")) + b"{}",
    "a Content-Length beyond numbers": post(("Content-Length", "9" * 30)) + b"{}",
    "a chunk that is no number": chunked(b"Z\r\nabc\r\n0\r\n\r\n"),
    "a chunk longer than it says": chunked(b"3\r\nabcd\r\n0\r\n\r\n"),
    "a chunk beyond numbers": chunked(b"F" * 20 + b"\r\nabc\r\n0\r\n\r\n"),
    "a chunk with bare line feeds": chunked(b"3\nabc\n0\n\n"),
    "chunked after another coding that is not chunked": chunked(b"", ("Transfer-Encoding", "identity")),
    "chunked in HTTP/1.0": request("POST", BEAT, [JSON, ("Transfer-Encoding", "chunked")], version="1.0") + b"0\r\n\r\n",
    "a version that does not exist": request("GET", "/livez", version="1.2"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

CASES = {
    **{name: Case(sent, [400], "malformed-http") for name, sent in MALFORMED.items()},
    "HTTP/2.0 by text": Case(request("GET", "/livez", version="2.0"), [505], "unsupported-http-version"),
    "gzip under chunked": Case(
        post(("Transfer-Encoding", "gzip, chunked")) + b"0\r\n\r\n", [501], "unsupported-transfer-coding"
    ),
    "another expectation": Case(request("POST", BEAT, [("Expect", "tea")], b"{}"), [417], "expectation-failed"),
    "an expectation in HTTP/1.0": Case(request("GET", "/livez", [("Expect", "tea")], version="1.0"), [200]),
    "HTTP/1.0": Case(request("GET", "/livez", version="1.0"), [200]),
    "HTTP/1.0 without Host": Case(b"GET /livez HTTP/1.0\r\n\r\n", [200]),
    "Connection: close": Case(request("GET", "/livez", [("Connection", "close")]) + GOOD, [200]),
    "an absolute target": Case(request("GET", "http://other:8/livez"), [200], closed=False),
    "an empty line before": Case(b"\r\n\r\n" + GOOD, [200], closed=False),
    "an offer of a WebSocket": Case(
        request("GET", "/livez", [("Connection", "Upgrade"), ("Upgrade", "websocket")]) + GOOD, [200, 200], closed=False
    ),
    "an offer of HTTP/2 with a body": Case(
        request("POST", BEAT, [JSON, ("Connection", "Upgrade"), ("Upgrade", "h2c")], b"{}") + GOOD, [400], "malformed-http"
    ),
    "three at once": Case(GOOD + request("GET", "/nowhere") + GOOD, [200, 404, 200], closed=False),
    "a fault after two good ones": Case(GOOD + GOOD + b"GET /\0", [200, 200, 400], "malformed-http"),
    "too many at once": Case(GOOD * 100, [200] * 33 + [429], "rate-limited"),
    "64 fields": Case(request("GET", "/livez", [("X-A", "b")] * 63), [200], closed=False),
    "65 fields": Case(request("GET", "/livez", [("X-A", "b")] * 64), [431], "header-too-large"),
    "a head just small enough": Case(request("GET", "/livez", [("X-A", "b" * 16_300)]), [200], closed=False),
    "a field too large": Case(request("GET", "/livez", [("X-A", "b" * 16_384)]), [431], "header-too-large"),
    "a target too large": Case(request("GET", "/" + "a" * 16_384), [431], "header-too-large"),
    "a head that never ends": Case(b"GET / HTTP/1.1\r\nX-A: " + b"b" * 1_000_000, [431], "header-too-large"),
    "a chunk extension that never ends": Case(chunked(b"3;" + b"x" * 1_000_000), [431], "header-too-large"),
    "trailers that never end": Case(chunked(b"0\r\nX-A: " + b"b" * 1_000_000), [431], "header-too-large"),
    "a body that is too large": Case(
        request("POST", BEAT, [JSON], b"x" * 1_000_000), [401], "missing-api-key", closed=False
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_each_case_gets_its_answers_in_order(name: str, port: int) -> None:
    case = CASES[name]
    async with connection(port) as raw:
        await raw.send(case.sent)
        answers = await raw.answers(len(case.statuses))
        assert [answer.status for answer in answers] == case.statuses
        assert answers[-1].slug == case.slug or not case.slug
        assert all(answer.slug for answer in answers if answer.status >= 400)
        if case.closed:
            assert answers[-1].headers["connection"] == "close"
            assert await raw.is_closed()
        else:
            await raw.send(GOOD)
            assert [answer.status for answer in await raw.answers(1)] == [200]


async def test_a_head_in_pieces_is_counted_as_one(port: int) -> None:
    small = request("GET", "/livez", [("X-A", "b" * 16_000)])
    async with connection(port) as raw:
        await raw.send(*(small[at : at + 100] for at in range(0, len(small), 100)))
        assert [answer.status for answer in await raw.answers(1)] == [200]
        large = request("GET", "/livez", [("X-A", "b" * 8_000), ("X-B", "b" * 8_400)])
        await raw.send(GOOD + large[:5_000], large[5_000:16_000], large[16_000:])
        answers = await raw.answers()
    assert [(answer.status, answer.slug) for answer in answers] == [(200, ""), (431, "header-too-large")]


async def test_head_has_no_body(port: int) -> None:
    async with connection(port) as raw:
        await raw.send(request("HEAD", "/livez", [("Connection", "close")]))
        assert (await raw.reader.read()).endswith(b"\r\n\r\n")


async def test_pipelined_requests_are_each_verified(port: int, key_files: KeyFiles) -> None:
    beats = SignedBeats(key_files, "t-pipelined")
    forged = beats.request().replace(b'"online"', b'"error" ')
    async with connection(port) as raw:
        await raw.send(beats.request() + forged + beats.request())
        answers = await raw.answers(3)
    assert [(answer.status, answer.slug) for answer in answers] == [(202, ""), (401, "bad-signature"), (202, "")]


async def test_a_body_in_chunks_of_a_byte(port: int, key_files: KeyFiles) -> None:
    async with connection(port) as raw:
        await raw.send(SignedBeats(key_files, "t-chunked").chunked())
        assert [answer.status for answer in await raw.answers(1)] == [202]


async def test_trailers_are_no_headers(port: int, key_files: KeyFiles) -> None:
    async with connection(port) as raw:
        await raw.send(SignedBeats(key_files, "t-trailers").chunked("X-Client-ID: another", "X-Signature: AAAA"))
        assert [answer.status for answer in await raw.answers(1)] == [202]


async def test_a_body_is_asked_for_only_where_it_is_wanted(port: int, key_files: KeyFiles) -> None:
    body, headers = SignedBeats(key_files, "t-expect").body_and_headers()
    length = ("Content-Length", str(len(body)))
    async with connection(port) as raw:
        await raw.send(request("POST", BEAT, [*headers, length, ("Expect", "100-continue")]))
        assert [answer.status for answer in await raw.answers(1)] == [100]
        await raw.send(body)
        assert [answer.status for answer in await raw.answers(1)] == [202]
    async with connection(port) as raw:
        await raw.send(request("POST", BEAT, [JSON, length, ("Expect", "100-continue")]))
        (refused,) = await raw.answers()
        # Whether the body follows cannot be known: nothing after it could be told from it.
        assert (refused.status, refused.slug, refused.headers["connection"]) == (401, "missing-api-key", "close")


async def test_the_answer_to_a_body_too_large_arrives(port: int, key_files: KeyFiles) -> None:
    _, headers = SignedBeats(key_files, "t-large").body_and_headers()
    for framing in (("Content-Length", "8000000"), ("Transfer-Encoding", "chunked")):
        async with connection(port) as raw:
            await raw.send(request("POST", BEAT, [*headers, framing]) + b"7A1200\r\n", *[b"x" * 100_000] * 80)
            assert [(answer.status, answer.slug) for answer in await raw.answers()] == [(413, "body-too-large")]


async def drip(raw: RawConnection, first: bytes, piece: bytes) -> float:
    """Send a piece every 50 ms until the other side closes; returns how long it took (s)."""
    began = time.monotonic()
    await raw.send(first)
    reading = asyncio.create_task(raw.answers())
    while not reading.done():
        await raw.send(piece)
        await asyncio.wait([reading], timeout=0.05)
    answers = await reading
    assert [(answer.status, answer.slug) for answer in answers] in ([], [(408, "request-timeout")])
    return time.monotonic() - began


DRIPS = {
    "nothing": (b"", b""),
    "empty lines": (b"\r\n", b"\r\n"),
    "a head": (b"GET /livez HTTP/1.1\r\nX-A: ", b"b"),
    "a body": (request("POST", BEAT, [JSON, ("Content-Length", "1000")]), b"x"),
    "chunks": (chunked(b""), b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("name", DRIPS)
async def test_a_request_has_a_deadline_that_bytes_do_not_extend(name: str, strict_port: int) -> None:
    for before in (b"", GOOD):
        async with connection(strict_port) as raw:
            if before:
                await raw.send(before)
                assert [answer.status for answer in await raw.answers(1)] == [200]
            if name in ("a body", "chunks"):
                first, piece = DRIPS[name]
                await raw.send(first)
                # Refused for its head at once; the rest of it must come all the same.
                assert [answer.status for answer in await raw.answers(1)] == [401]
                took = await drip(raw, b"", piece)
            else:
                took = await drip(raw, *DRIPS[name])
            assert 0.4 < took < 2.6


async def test_a_dripping_body_of_a_known_client_is_told_so(strict_port: int, key_files: KeyFiles) -> None:
    whole = SignedBeats(key_files, "t-drip").request()
    async with connection(strict_port) as raw:
        await raw.send(whole[:-100])
        assert [(answer.status, answer.slug) for answer in await raw.answers()] == [(408, "request-timeout")]


def ended_unread() -> float:
    return CONNECTIONS_ENDED.labels("unread")._value.get()


async def test_an_answer_that_is_not_read_is_given_up() -> None:
    settings = front_settings(None, answer_timeout_s=1.0)
    size = 50_000_000
    with front_server(settings):
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.edge_port, limit=1)
        before = ended_unread()
        writer.write(request("GET", f"/?{size}"))
        await eventually(lambda: ended_unread() == before + 1, 5, "the edge gives up")
        received = 0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1_000_000):
                received += len(piece)
        writer.close()
    assert received < size


async def send_without_reading(writer: asyncio.StreamWriter, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not writer.is_closing():
            # 31 at once is less than what is refused for its number alone.
            writer.write(request("GET", "/nowhere") * 31)
            await writer.drain()
            await asyncio.sleep(0)


async def test_a_client_that_reads_nothing_is_cut_off(strict_port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", strict_port, limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    with pytest.raises(ConnectionError):
        await send_without_reading(writer, 20)
    writer.close()
    assert not reader.at_eof()


async def test_one_address_has_so_many_connections(strict_port: int) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", strict_port) for _ in range(12)]

    async def alive() -> int:
        return sum(not reader.at_eof() for reader, _ in opened)

    async def settled() -> bool:
        return await alive() == 8

    await promised(settled, 0.9, "the four above the cap are closed at once")
    for _, writer in opened:
        writer.close()

    async def again() -> bool:
        async with connection(strict_port) as raw:
            await raw.send(GOOD)
            return [answer.status for answer in await raw.answers(1)] == [200]

    await eventually(again, 5, "those that ended are not counted any more")
