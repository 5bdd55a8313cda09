"""Connections against a real server that answers in pieces, ends, or says what nobody asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from fleet.client import make_clients
from fleet.exchange import NO_ANSWER, NOT_SENT, Answer, Exchange
from fleet.pool import Pool, Target
from tests.deadline import eventually

CLIENTS = make_clients("connection", 3, 0)
REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def pooled(serve: Serve, connections: int) -> AsyncIterator[tuple[Pool, list[tuple[Exchange, Answer]]]]:
    serving: set[asyncio.Task[object]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(asyncio.IncompleteReadError, OSError), contextlib.closing(writer):
            await serve(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    answers: list[tuple[Exchange, Answer]] = []
    target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
    pool = Pool(target, connections, lambda exchange, answer: answers.append((exchange, answer)), lambda: 7.0)
    try:
        yield pool, answers
    finally:
        await pool.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        server.close()
        await server.wait_closed()


def exchange(number: int = 0) -> Exchange:
    return Exchange(CLIENTS[number], "heartbeat", 0.0)


async def test_answers_may_come_in_pieces_and_a_connection_serves_many_clients() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            for byte in ANSWER:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)

    async with pooled(drip, 1) as (pool, answers):
        for number in range(3):
            pool.submit(REQUEST, exchange(number))
        await eventually(lambda: len(answers) == 3, 10)
        assert [(each.client.number, answer.status, answer.body) for each, answer in answers] == [
            (0, 202, b"{}"),
            (1, 202, b"{}"),
            (2, 202, b"{}"),
        ]
        assert pool.connections == 1
        assert {each.sent_ms for each, _ in answers} == {7.0}


async def test_one_connection_each() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)

    async with pooled(answer, 0) as (pool, answers):
        for number in (0, 1, 2, 0, 1, 2):
            pool.submit(REQUEST, exchange(number))
        await eventually(lambda: len(answers) == 6, 10)
        assert pool.connections == 3


async def test_a_server_that_ends_leaves_nobody_without_an_end() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with pooled(hang_up, 2) as (pool, answers):
        for number in range(3):
            pool.submit(REQUEST, exchange(number))
        await eventually(lambda: len(answers) == 3, 10)
        assert {answer for _, answer in answers} == {NO_ANSWER}


async def test_a_server_that_is_not_there() -> None:
    answers: list[Answer] = []
    pool = Pool(Target("127.0.0.1", 1), 2, lambda _, answer: answers.append(answer), lambda: 0.0)
    for number in range(3):
        pool.submit(REQUEST, exchange(number))
    await eventually(lambda: len(answers) == 3, 10)
    assert set(answers) == {NOT_SENT}
    await pool.close()


async def test_a_request_without_an_answer_is_given_up() -> None:
    async def be_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with pooled(be_silent, 1) as (pool, answers):
        pool.submit(REQUEST, exchange())
        await eventually(lambda: pool.connections == 1, 10)
        pool.expire(7.0)
        assert answers == []
        pool.expire(8.0)
        await eventually(lambda: [answer for _, answer in answers] == [NO_ANSWER], 10)


async def test_an_answer_without_end_or_that_nobody_asked_for_ends_the_connection() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        await reader.read()

    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER + ANSWER)
        await reader.read()

    for serve in (flood, chatter):
        async with pooled(serve, 1) as (pool, answers):
            pool.submit(REQUEST, exchange())
            await eventually(lambda answers=answers: len(answers) == 1, 10)  # type: ignore[misc]
            await eventually(lambda pool=pool: pool.connections == 0, 10)  # type: ignore[misc]
