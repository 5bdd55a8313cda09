"""A query whose result nobody waits for any longer is work that the engine does no longer."""

from __future__ import annotations

import asyncio
import contextlib
import time

import httpx2
import pytest

from tests.deadline import eventually
from tests.sinks.sql_port.port import Port, open_port
from tests.sinks.warehouse import Warehouse

ENDLESS = {
    "computing": "SELECT count() FROM numbers(1e12) WHERE NOT ignore(number)",
    "sending": "SELECT number FROM system.numbers LIMIT 900000000000",
    "joining": "SELECT count() FROM numbers(100000) AS a, numbers(10000000) AS b WHERE a.number * b.number % 3 = 7",
    "a constant": "SELECT (SELECT count() FROM numbers(1e12) WHERE NOT ignore(number))",
    "explaining": "EXPLAIN ESTIMATE SELECT (SELECT count() FROM numbers(1e12) WHERE NOT ignore(number))",
}


async def running(port: Port, number: int) -> None:
    async def counted() -> bool:
        # What a query is checked with runs for a moment too.
        return await port.running(0.1 if number else 0.0) == number

    await eventually(counted, 10, f"{number} queries run")


async def code_of(http: httpx2.AsyncClient, sql: str, query_id: str) -> int:
    answer = await http.post("/", content=sql, params={"query_id": query_id, "wait_end_of_query": "1"})
    return int(answer.headers.get("x-clickhouse-exception-code", 0))


def _head(port: Port, lines: str) -> bytes:
    return f"{lines}\r\nX-ClickHouse-Key: {port.tokens['analyst']}\r\n\r\n".encode()


@pytest.mark.parametrize("what", ENDLESS)
async def test_a_client_that_hangs_up_ends_its_query(warehouse: Warehouse, what: str) -> None:
    async with open_port(warehouse, sql_max_result_rows=10**13, sql_max_result_bytes=10**15) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        body = ENDLESS[what].encode()
        writer.write(_head(port, f"POST /?query_id=gone HTTP/1.1\r\nContent-Length: {len(body)}") + body)
        if what == "sending":
            await reader.readexactly(100_000)
        await running(port, 1)
        writer.close()
        await running(port, 0)
        await eventually(lambda: port.trail.of("gone")[-1:], 5, "audited")
    outcomes = [record["outcome"] for record in port.trail.of("gone")]
    assert outcomes == (["began", "cancelled"] if what == "sending" else ["cancelled"])


@pytest.mark.parametrize("way", ["DELETE", "KILL QUERY"])
async def test_a_query_is_ended_by_its_id(port: Port, way: str) -> None:
    async with port.http() as http, port.http("auditor") as stranger, port.http("admin") as admin:
        work = asyncio.create_task(code_of(http, ENDLESS["computing"], "mine"))
        await running(port, 1)
        assert await _ended(stranger, way, "mine") is False
        assert await _ended(http, way, "another") is False
        assert await port.running() == 1
        assert await _ended(http, way, "mine") is True
        assert await work == 394
        work = asyncio.create_task(code_of(http, ENDLESS["computing"], "again"))
        await running(port, 1)
        assert await _ended(admin, way, "again") is True
        assert await work == 394
    await running(port, 0)


async def _ended(http: httpx2.AsyncClient, way: str, query_id: str) -> bool:
    if way == "DELETE":
        return (await http.delete("/", params={"query_id": query_id})).status_code == 200
    answer = await http.post("/", content=f"KILL QUERY WHERE query_id = '{query_id}' ASYNC")
    assert answer.status_code == 200, answer.text
    return answer.text == f"waiting\t{query_id}\tdefault\t\n"


async def test_time_ends_a_query(port: Port) -> None:
    async with port.http() as http:
        for sql in (ENDLESS["computing"], ENDLESS["joining"], ENDLESS["a constant"]):
            answer = await http.post("/", content=sql, params={"max_execution_time": "0.3"})
            assert answer.headers["x-clickhouse-exception-code"] == "159"
    await running(port, 0)


async def test_a_client_that_takes_nothing_is_left(warehouse: Warehouse) -> None:
    limits = {"sql_max_result_rows": 10**13, "sql_max_result_bytes": 10**15, "sql_stall_s": 0.5}
    async with (
        open_port(warehouse, **limits) as port,
        port.http() as http,
        http.stream("POST", "/", content=ENDLESS["sending"]) as answer,
    ):
        await running(port, 0)
        with contextlib.suppress(httpx2.RemoteProtocolError):
            async for _ in answer.aiter_raw():
                pass
            pytest.fail("the answer ends as if it were whole")


async def test_queries_of_one_token_and_of_all_are_bounded(warehouse: Warehouse) -> None:
    limits = {"sql_max_queries": 3, "sql_max_queries_per_token": 2, "sql_queue_wait_s": 0.3}
    async with open_port(warehouse, **limits) as port, port.http() as one, port.http("admin") as other:
        work = [asyncio.create_task(code_of(one, ENDLESS["computing"], f"q{number}")) for number in range(2)]
        await running(port, 2)
        assert await code_of(one, "SELECT 1", "third") == 202
        assert await code_of(other, "SELECT 1", "of another") == 0
        assert await code_of(one, "SELECT 1", "q1") == 216
        await one.delete("/", params={"query_id": "q0"})
        assert await work[0] == 394
        assert await code_of(one, "SELECT 1", "fourth") == 0
        await one.delete("/", params={"query_id": "q1"})
        assert await work[1] == 394


async def test_the_end_of_the_port_ends_its_queries(warehouse: Warehouse) -> None:
    async with contextlib.AsyncExitStack() as clients:
        async with open_port(warehouse, sql_max_result_rows=10**13, sql_max_result_bytes=10**15) as port:
            http = await clients.enter_async_context(port.http())
            computing = asyncio.create_task(code_of(http, ENDLESS["computing"], "long"))
            sending = asyncio.create_task(code_of(http, ENDLESS["sending"], "large"))
            await running(port, 2)
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 4.0
        assert await port.running() == 0
        assert await computing == 394
        with pytest.raises(httpx2.RemoteProtocolError):
            await sending


async def test_many_who_hang_up_leave_nothing_behind(port: Port) -> None:
    async def hang_up(number: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(_head(port, f"GET /?query_id=h{number}&query=SELECT+sleep(0.{number % 9}) HTTP/1.1"))
        await asyncio.sleep(0.01 * (number % 7))
        writer.close()

    await asyncio.gather(*(hang_up(number) for number in range(15)))
    await running(port, 0)
    async with port.http("admin") as http:
        assert (await http.post("/", content="SELECT 1")).text == "1\n"
