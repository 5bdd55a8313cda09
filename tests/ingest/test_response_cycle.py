"""Answers in one write are the answers that uvicorn would have given."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from ingest.response_cycle import plain_head

pytestmark = pytest.mark.asyncio(loop_scope="session")

LENGTH = (b"content-length", b"2")


async def exchange(http: httpx2.AsyncClient, request: bytes) -> bytes:
    """All that the edge sends until it closes the connection."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_the_last_answer_of_a_connection_says_so(http: httpx2.AsyncClient) -> None:
    get = b"GET /livez HTTP/1.1\r\nHost: edge\r\n"
    answers = await exchange(http, get + b"\r\n" + get + b"Connection: close\r\n\r\n")
    first, second = (head.partition(b"\r\n\r\n")[0] for head in answers.split(b"HTTP/1.1 ")[1:])
    assert first.startswith(b"200 OK\r\n")
    assert b"connection: close" not in first
    assert second.startswith(b"200 OK\r\n")
    assert second.endswith(b"connection: close")
    assert answers.count(b'{"alive":true}') == 2


async def test_the_answer_to_head_has_no_body(http: httpx2.AsyncClient) -> None:
    answer = await exchange(http, b"HEAD /livez HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_refusal_that_closes_the_connection_does(http: httpx2.AsyncClient) -> None:
    head = b"POST /api/v1/clients/register HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n"
    answer = await exchange(http, head + b"Content-Length: 99999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.lower().count(b"connection: close") == 1


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (LENGTH, (b"transfer-encoding", b"chunked")),
        (LENGTH, (b"connection", b"close")),
        (LENGTH, (b"Upper", b"x")),
        (LENGTH, (b"na me", b"x")),
        (LENGTH, (b"name", b"x\r\ninjected: y")),
    ],
)
async def test_what_is_not_plain_goes_the_ordinary_way(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert plain_head(200, headers) is None
    assert plain_head(200, (LENGTH,)) == (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", 2)
