"""clickhouse-connect against the SQL port: what analysts' notebooks do. The npm client: ``with_node.py`` beside this."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pytest
from clickhouse_connect import common
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, StreamFailureError

from tests.sinks.samples import event
from tests.sinks.sql_port.port import Port
from tests.sinks.warehouse import Warehouse


def _values(client: Client) -> None:
    result = client.query("SELECT 1 AS a, 'x' AS b, [1, 2] AS c, NULL AS d, toDateTime64('2026-01-02 03:04:05.678', 3) AS e")
    assert result.column_names == ("a", "b", "c", "d", "e")
    assert result.result_rows[0][:4] == (1, "x", [1, 2], None)
    assert f"{result.result_rows[0][4]:%F %T.%f}" == "2026-01-02 03:04:05.678000"
    assert result.summary["read_rows"] == "1"
    assert result.query_id
    assert client.command("SELECT count() FROM numbers(7)") == 7
    assert client.server_version


def _parameters(client: Client) -> None:
    sql = "SELECT {a:String} AS a, {b:Array(String)} AS b, {c:DateTime64(3)} AS c, {d:Nullable(UInt8)} AS d"
    nasty = "it's \\ a\ttab\nand `more` {x} %s"
    row = client.query(
        sql, parameters={"a": nasty, "b": [nasty, ""], "c": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "d": None}
    ).first_row
    assert (row[0], row[1], row[3]) == (nasty, [nasty, ""], None)
    assert client.query("SELECT %(a)s AS a, %(b)s AS b", parameters={"a": nasty, "b": 1}).first_row == (nasty, 1)


def _frames_and_arrow(client: Client) -> None:
    frame = client.query_df("SELECT number AS n, toString(number) AS s FROM numbers(1000)")
    assert (len(frame), int(frame["n"].sum()), list(frame["s"][:2])) == (1000, 499_500, ["0", "1"])
    table = client.query_arrow("SELECT number AS n FROM numbers(1000)")
    assert table.column("n").to_pylist() == list(range(1000))
    assert client.query_np("SELECT number FROM numbers(5)").tolist() == [[0], [1], [2], [3], [4]]
    assert client.raw_query("SELECT 1 AS x", fmt="Parquet").startswith(b"PAR1")


def _streams(client: Client) -> None:
    sql = "SELECT number, toString(number) AS s FROM numbers(900000)"
    with client.query_row_block_stream(sql) as blocks:
        assert sum(len(block) for block in blocks) == 900_000
    with client.query_df_stream(sql) as frames:
        assert sum(len(frame) for frame in frames) == 900_000
    with client.query_arrow_stream(sql) as tables:
        assert sum(table.num_rows for table in tables) == 900_000
    with client.raw_stream(sql, fmt="CSV") as raw:
        assert sum(piece.count(b"\n") for piece in iter(lambda: raw.read(65536), b"")) == 900_000


def _settings(client: Client) -> None:
    # The client takes a setting that is read-only for one that cannot be sent either, unless it is told otherwise.
    common.set_setting("invalid_setting_action", "send")
    try:
        asked = client.query("SELECT getSetting('max_execution_time')", settings={"max_execution_time": 3})
    finally:
        common.set_setting("invalid_setting_action", "error")
    assert asked.first_row[0] == 3
    assert client.query("SELECT number FROM numbers(9)", query_formats={"UInt64": "string"}).first_row == ("0",)


def _an_error_in_the_middle(client: Client) -> None:
    with (
        pytest.raises((StreamFailureError, ClickHouseError)),
        client.query_row_block_stream("SELECT throwIf(number = 990000) FROM numbers(1000000)") as blocks,
    ):
        for _ in blocks:
            pass


@pytest.mark.parametrize("use", [_values, _parameters, _frames_and_arrow, _streams, _settings, _an_error_in_the_middle])
@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
async def test_clickhouse_connect(port: Port, use: Callable[[Client], None], compress: Any) -> None:
    client = await port.client(compress=compress)
    try:
        await asyncio.to_thread(use, client)
    finally:
        client.close()


async def test_the_tables_come_through_all_of_it(port: Port, warehouse: Warehouse) -> None:
    warehouse.fill("events", "event", *(event("clients-1", f"e{number}") for number in range(3)))
    client = await port.client()
    try:
        hidden = "SELECT * EXCEPT (signature, signed_bytes) FROM events WHERE client_id = {c:String}"
        found = await asyncio.to_thread(client.query, hidden, parameters={"c": "clients-1"})
        assert len(found.result_rows) == 3
        with pytest.raises(DatabaseError) as caught:
            await asyncio.to_thread(client.query, "SELECT * FROM events")
        assert caught.value.code == 497
        async with port.http() as http:
            assert (
                "Missing permissions: SELECT(signature, signed_bytes)"
                in (await http.post("/", content="SELECT * FROM events")).text
            )
    finally:
        client.close()
