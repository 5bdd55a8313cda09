"""A request that comes whole needs no task; however else it comes, its answer is the same."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx2
import pytest
import uvicorn
from uvicorn.server import ServerState

from infra.key_files import KeyFiles
from ingest.response_cycle import OneWriteProtocol, Reply
from tests.ingest.raw_http import connection, request
from tests.ingest.signed_beats import BEAT, JSON, SignedBeats

pytestmark = pytest.mark.asyncio(loop_scope="session")

START = {"type": "http.response.start", "status": 202, "headers": ((b"content-length", b"2"),)}
WHOLE = request("POST", BEAT, [JSON], b"{}")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...


class Application:
    """Notes how each request reached it. Whole ones are answered when the test says so."""

    def __init__(self) -> None:
        self.whole_request_handlers = {BEAT.encode(): self.take}
        self.whole: list[bytes] = []
        self.replies: list[Reply] = []
        self.tasks = 0

    def take(self, _: Any, body: bytes, reply: Reply) -> None:
        self.whole.append(body)
        self.replies.append(reply)

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        self.tasks += 1
        await receive()
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})


class Connection:
    """One connection of the bare protocol, without sockets."""

    def __init__(self) -> None:
        self.app = Application()
        config = uvicorn.Config(
            cast("Any", self.app), lifespan="off", log_config=None, access_log=False, proxy_headers=False
        )
        config.load()
        self.protocol = OneWriteProtocol(config, ServerState(), {})
        self.wire = Wire()
        self.protocol.connection_made(self.wire)

    def read(self, data: bytes) -> None:
        self.protocol.data_received(data)
        self.protocol.start_unfinished()

    async def tasks_done(self) -> None:
        await asyncio.gather(*self.protocol.tasks)


async def test_a_whole_request_is_no_task_and_its_answer_one_write() -> None:
    made = Connection()
    made.read(WHOLE)
    assert (made.app.whole, made.app.tasks, made.protocol.tasks) == ([b"{}"], 0, set())
    assert made.wire.written == b""
    made.app.replies[0](START, b"ok")
    assert made.wire.written == b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok"
    made.read(WHOLE)
    assert len(made.app.whole) == 2


@pytest.mark.parametrize("cut", range(1, len(WHOLE), 7))
async def test_a_request_in_two_reads_is_a_task_if_its_head_is_in_the_first(cut: int) -> None:
    made = Connection()
    made.read(WHOLE[:cut])
    made.read(WHOLE[cut:])
    await made.tasks_done()
    head_was_whole = b"\r\n\r\n" in WHOLE[:cut]
    assert made.app.tasks == int(head_was_whole)
    assert made.app.whole == ([] if head_was_whole else [b"{}"])


@pytest.mark.parametrize(
    "sent",
    [
        request("POST", BEAT + "?a=b", [JSON], b"{}"),
        request("POST", BEAT, [JSON, ("Expect", "100-continue")], b"{}"),
        request("POST", BEAT, [JSON], b"{}", version="1.0"),
        request("POST", "/elsewhere", [JSON], b"{}"),
        request("GET", BEAT),
    ],
)
async def test_anything_out_of_the_ordinary_is_a_task(sent: bytes) -> None:
    made = Connection()
    made.read(sent)
    await made.tasks_done()
    assert (made.app.tasks, made.app.whole) == (1, [])


async def test_what_waits_behind_an_unanswered_request_is_answered_after_it() -> None:
    made = Connection()
    made.read(WHOLE + request("GET", "/elsewhere"))
    assert (made.app.tasks, made.wire.written) == (0, b"")
    made.app.replies[0](START, b"1.")
    await made.tasks_done()
    assert made.app.tasks == 1
    assert made.wire.written.index(b"1.") < made.wire.written.index(b"ok")


async def test_a_client_that_has_gone_gets_no_answer() -> None:
    made = Connection()
    made.read(WHOLE)
    made.protocol.connection_lost(None)
    made.app.replies[0](START, b"ok")
    assert made.wire.written == b""


async def test_an_answer_waits_for_a_client_that_does_not_read() -> None:
    made = Connection()
    made.read(WHOLE)
    made.protocol.pause_writing()
    made.app.replies[0](START, b"ok")
    assert made.wire.written == b""
    made.protocol.resume_writing()
    await made.tasks_done()
    assert made.wire.written.endswith(b"\r\n\r\nok")


async def test_the_last_request_of_a_connection_closes_it() -> None:
    made = Connection()
    made.read(request("POST", BEAT, [JSON, ("Connection", "close")], b"{}"))
    made.app.replies[0](START, b"ok")
    assert made.wire.closing
    assert b"connection: close\r\n" in made.wire.written


@pytest.mark.parametrize("pieces", [1, 2, 5])
async def test_on_an_edge_the_answer_is_the_same_however_the_request_comes(
    http: httpx2.AsyncClient, key_files: KeyFiles, pieces: int
) -> None:
    beats = SignedBeats(key_files, f"t-whole-{pieces}")
    good = beats.request()
    answers = []
    async with connection(http.base_url.port or 0) as raw:
        for sent in (good, good.replace(b'"uptime":3600', b'"uptime":3601'), beats.request()):
            size = -(-len(sent) // pieces)
            await raw.send(*[sent[at : at + size] for at in range(0, len(sent), size)])
            answers += await raw.answers(1)
    assert [(answer.status, answer.slug) for answer in answers] == [(202, ""), (401, "bad-signature"), (202, "")]
