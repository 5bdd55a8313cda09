"""The SQL port as ClickHouse's HTTP interface: where a query stands, what comes back, how errors look."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import resource
import sys
import zlib

import httpx2
import pyarrow
import pytest

from sinks.settings import SinkSettings
from tests.sinks.sql_port.port import FIRST, Port, open_port
from tests.sinks.warehouse import Warehouse


async def ask(port: Port, sql: str, role: str = "analyst", **parameters: str) -> httpx2.Response:
    async with port.http(role) as http:
        return await http.post("/", content=sql, params=parameters)


def code(answer: httpx2.Response) -> int:
    return int(answer.headers.get("x-clickhouse-exception-code", 0))


async def test_a_query_stands_in_the_url_the_body_or_both(port: Port) -> None:
    async with port.http() as http:
        assert (await http.get("/", params={"query": "SELECT 1"})).text == "1\n"
        assert (await http.post("/", content="SELECT 2")).text == "2\n"
        assert (await http.post("/", params={"query": "SELECT"}, content="3")).text == "3\n"
        assert (await http.get("/")).text == (await http.get("/ping")).text == (await http.get("/replicas_status")).text
        packed = gzip.compress(b"SELECT 4")
        assert (await http.post("/", content=packed, headers={"Content-Encoding": "gzip"})).text == "4\n"
        packed = zlib.compress(b"SELECT 5")
        assert (await http.post("/", content=packed, headers={"Content-Encoding": "deflate"})).text == "5\n"


async def test_parameters_are_values_and_never_text(port: Port) -> None:
    nasty = "a'); DROP TABLE x; -- \\\\ \\t`"
    answer = await ask(
        port, "SELECT {a:String} AS a, {b:Array(UInt8)} AS b FORMAT JSONEachRow", param_a=nasty, param_b="[1,2]"
    )
    assert answer.json() == {"a": nasty.replace("\\\\", "\\").replace("\\t", "\t"), "b": [1, 2]}
    assert code(await ask(port, "SELECT {a:UInt8}", param_a="x")) == 457
    assert code(await ask(port, "SELECT {a:UInt8}")) == 456


@pytest.mark.parametrize(
    "name",
    (  # noqa: SIM905 - a list of thirty lines otherwise
        "Native RowBinary RowBinaryWithNamesAndTypes Arrow ArrowStream Parquet ORC Avro JSON JSONEachRow JSONCompact "
        "JSONCompactEachRowWithNamesAndTypes JSONStrings JSONColumns JSONEachRowWithProgress CSV CSVWithNames "
        "TSVWithNamesAndTypes Values Vertical Pretty PrettyCompactMonoBlock Markdown XML SQLInsert MsgPack Npy Null "
        "LineAsString Prometheus"
    ).split(),
)
async def test_a_streamed_format_is_the_engines_own(port: Port, name: str) -> None:
    sql = "SELECT toInt32(number) AS value FROM numbers(3)" if name != "Prometheus" else "SELECT 'n' AS name, 1.5 AS value"
    sql = sql if name != "LineAsString" else "SELECT 'x' AS value"
    streamed = await ask(port, f"{sql} FORMAT {name}")
    by_header = await ask(port, sql, default_format=name)
    assert (streamed.status_code, streamed.headers["x-clickhouse-format"]) == (200, name), streamed.text
    whole = await asyncio.to_thread(port.reader.handle().query, sql, name)
    # JSON's statistics tell the time; Avro has a marker of its own for each file.
    if name not in {"JSON", "JSONCompact", "JSONStrings", "XML", "Avro", "JSONEachRowWithProgress"}:
        assert streamed.content == by_header.content == bytes(whole.bytes() or b"")


async def test_arrow_is_read_by_arrow(port: Port) -> None:
    stream = pyarrow.ipc.open_stream((await ask(port, "SELECT number FROM numbers(100000) FORMAT ArrowStream")).content)
    assert stream.read_all().column(0).to_pylist() == list(range(100_000))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "lz4", "xz", "snappy"])
async def test_the_engine_compresses(port: Port, encoding: str) -> None:
    async with port.http() as http:
        request = http.build_request(
            "POST", "/", content="SELECT number FROM numbers(1000)", params={"enable_http_compression": "1"},
            headers={"Accept-Encoding": encoding},
        )  # fmt: skip
        answer = await http.send(request, stream=True)
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == encoding
    starts = {
        "gzip": b"\x1f\x8b",
        "deflate": b"\x78",
        "zstd": b"\x28\xb5\x2f\xfd",
        "lz4": b"\x04\x22\x4d\x18",
        "xz": b"\xfd7zXZ",
    }
    assert raw.startswith(starts.get(encoding, b""))
    if encoding in {"gzip", "deflate"}:
        assert zlib.decompress(raw, 47).splitlines()[-1] == b"999"
    assert len(raw) < 3890


async def test_nothing_is_compressed_unasked(port: Port) -> None:
    assert "content-encoding" not in (await ask(port, "SELECT number FROM numbers(1000)")).headers
    refused = await ask(port, "SELECT 1", compress="1")
    assert (refused.status_code, code(refused)) == (501, 48)


async def test_headers_say_what_a_query_took(port: Port) -> None:
    answer = await ask(port, "SELECT number FROM numbers(10)", query_id="the-id")
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"], summary["result_bytes"]) == ("10", "10", "20")
    assert (answer.headers["x-clickhouse-query-id"], answer.headers["x-clickhouse-timezone"]) == (
        "the-id",
        port.reader.timezone,
    )
    sql = "SELECT count() FROM numbers(3000000000) WHERE NOT ignore(number)"
    slow = await ask(port, sql, send_progress_in_http_headers="1")
    lines = [json.loads(value) for value in slow.headers.get_list("x-clickhouse-progress")]
    assert lines
    assert int(lines[-1]["read_rows"]) <= 3_000_000_000 == int(lines[-1]["total_rows_to_read"])


@pytest.mark.parametrize(
    ("sql", "status", "expected"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT nothing", 404, 47),
        ("SELECT no_such_function()", 404, 46),
        ("SELECT * FROM no_such_table", 404, 60),
        ("SELECT * FROM no_such_database.x", 404, 81),
        ("SELECT 1 FORMAT Nothing", 404, 73),
        ("SELECT toUInt8('x')", 400, 6),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 SETTINGS nothing = 1", 404, 115),
        ("SELECT * FROM viworks.audit", 403, 497),
        ("DROP TABLE viworks.events", 500, 164),
        ("SELECT count() FROM numbers(1e12) WHERE NOT ignore(number)", 408, 159),
    ],
)
async def test_errors_have_clickhouses_code_and_status(port: Port, sql: str, status: int, expected: int) -> None:
    answer = await ask(port, sql, max_execution_time="0.5")
    assert (answer.status_code, code(answer)) == (status, expected), answer.text
    assert answer.text.startswith(f"Code: {expected}. DB::Exception: ")


async def test_whose_token_it_is(port: Port, warehouse: Warehouse) -> None:
    async with httpx2.AsyncClient(base_url=port.url, trust_env=False) as http:
        user = {"query": "SELECT currentRoles()[1]"}
        assert (await http.get("/", params=user, auth=("anyone", port.tokens["auditor"]))).text == "auditor\n"
        assert (
            await http.get("/", params=user, headers={"Authorization": f"Bearer {port.tokens['admin']}"})
        ).text == "admin\n"
        assert (await http.get("/", params=user, headers={"X-ClickHouse-Key": FIRST})).text == "analyst\n"
        assert (await http.get("/", params=user)).status_code == 401
        assert (await http.get("/", params=user, auth=("default", ""))).status_code == 403
        assert (await http.get("/", params={**user, "password": FIRST})).status_code == 401
        mine = {"X-ClickHouse-Key": FIRST}
        assert (await http.get("/", params={**user, "role": "analyst"}, headers=mine)).text == "analyst\n"
        other = await http.get("/", params={**user, "role": ["admin", "analyst"]}, headers=mine)
        assert (other.status_code, code(other)) == (403, 512)
        warehouse.settings.sql_tokens_path.write_bytes(b"[]")
        revoked = await http.get("/", params=user, auth=("anyone", port.tokens["auditor"]))
        assert (revoked.status_code, code(revoked)) == (403, 516)


async def test_an_error_in_the_middle_of_a_result_is_told(port: Port) -> None:
    sql = "SELECT number, throwIf(number = 900000) FROM numbers(1000000)"
    answer = b""
    async with port.http() as http, http.stream("POST", "/", content=sql) as got:
        tag = got.headers["x-clickhouse-exception-tag"].encode()
        with contextlib.suppress(httpx2.RemoteProtocolError):
            async for piece in got.aiter_raw():
                answer += piece
            pytest.fail("the answer ends as if it were whole")
    start, end = b"\r\n__exception__\r\n" + tag + b"\r\n", b" " + tag + b"\r\n__exception__\r\n"
    message, _, length = answer[answer.index(start) + len(start) : answer.index(end)].rpartition(b"\n")
    assert message.startswith(b"Code: 395. DB::Exception: ")
    assert int(length) == len(message) + 1


async def test_a_result_may_be_larger_than_what_is_held(warehouse: Warehouse) -> None:
    async with open_port(warehouse, sql_max_result_rows=50_000_000, sql_max_result_bytes=2**30) as port:
        lines = size = 0
        before = _most_memory_bytes()
        async with port.http() as http, http.stream("POST", "/", content="SELECT number FROM numbers(20000000)") as got:
            async for piece in got.aiter_raw():
                lines += piece.count(b"\n")
                size += len(piece)
    assert (lines, size) == (20_000_000, 168_888_890)
    assert _most_memory_bytes() - before < 80_000_000


def _most_memory_bytes() -> int:
    """The most memory that this process ever had, engine and port and client together."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


async def test_a_later_request_on_a_connection_has_to_arrive_in_time_too(warehouse: Warehouse) -> None:
    async with open_port(warehouse, sql_request_timeout_s=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        for rest in (b"/ping HTTP/1.1\r\n\r\n", b"/pi"):
            writer.write(b"GET " + rest)
            async with asyncio.timeout(3):
                answer = await (reader.readuntil(b"Ok.\n") if rest.endswith(b"\n") else reader.read())
        assert answer == b""
        writer.close()


async def test_requests_are_bounded(warehouse: Warehouse) -> None:
    settings: SinkSettings = warehouse.settings
    async with open_port(warehouse, sql_request_timeout_s=0.5) as port:
        assert (await ask(port, " " * settings.sql_max_request_bytes + "SELECT 1")).status_code == 413
        bomb = gzip.compress(b" " * 50_000_000)
        async with port.http() as http:
            assert (await http.post("/", content=bomb, headers={"Content-Encoding": "gzip"})).status_code == 413
            assert code(await http.post("/", content=b"no gzip", headers={"Content-Encoding": "gzip"})) == 271
            many = {f"param_p{number}": "1" for number in range(2000)}
            assert code(await http.get("/", params={"query": "SELECT 1", **many})) == 36
        assert await _sent(port, b"GET /?query=SELECT+1&param_x=" + b"y" * 300_000 + b" HTTP/1.1\r\n\r\n") in {b"400", b""}
        assert await _sent(port, b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 3_000_000) in {b"400", b""}
        assert await _sent(port, b"GET / HTTP/1.1\r\nX: y") == b""
        key = f"X-ClickHouse-Key: {port.tokens['analyst']}\r\n".encode()
        assert await _sent(port, b"POST / HTTP/1.1\r\n" + key + b"Content-Length: 9\r\n\r\nSELECT") == b""
        assert await _sent(port, b"") == b""


async def _sent(port: Port, head: bytes) -> bytes:
    """The status of what comes back before the port closes the connection; empty where nothing does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    try:
        writer.write(head)
        async with asyncio.timeout(5):
            return (await reader.read())[9:12]
    except ConnectionError:
        return b""
    finally:
        writer.close()
