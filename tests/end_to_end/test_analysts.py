"""Every question of docs/analysts.md is a query that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client as ClickHouse

from tests.end_to_end.system import System
from tests.infra.waiting import eventually

DOCUMENT = Path(__file__).parents[2] / "docs" / "analysts.md"
QUESTIONS = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
LISTS = "".join(re.findall(r"^## (?:Tables|Views)\n.*?(?=^## )", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE))
NAMES = re.findall(r"^\| `(\w+)` \|", LISTS, re.MULTILINE)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_of_the_guide_runs(sql: ClickHouse, question: str) -> None:
    assert header(sql, question)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_the_guide_is_there(admin_sql: ClickHouse, name: str) -> None:
    assert header(admin_sql, f"SELECT * FROM viworks.{name} LIMIT 1")


def test_a_query_of_the_command_line_is_in_the_audit(system: System, admin_sql: ClickHouse) -> None:
    assert system.command("sql", "-c", "SELECT 40 + 2 AS asked_by_the_command_line").stdout == "42\n"
    mine = (
        "action = 'query' AND actor = 'sql:default' AND outcome = 'answered' AND details LIKE '%asked_by_the_command_line%'"
    )
    eventually(lambda: admin_sql.command(f"SELECT count() FROM audit WHERE {mine}") == 1, "an audit record", 10)
    assert admin_sql.command(f"SELECT countIf(details LIKE '%40%') FROM audit WHERE {mine}") == 0


def header(sql: ClickHouse, query: str) -> bytes:
    """The names of the columns: there also where no row is. A query that cannot run raises."""
    return sql.raw_query(query, fmt="TabSeparatedWithNames").partition(b"\n")[0]
