"""Every question of docs/analysts.md is a query that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client as ClickHouse

DOCUMENT = Path(__file__).parents[2] / "docs" / "analysts.md"
QUESTIONS = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
NAMES = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_of_the_guide_runs(sql: ClickHouse, question: str) -> None:
    assert header(sql, question)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_the_guide_is_there(admin_sql: ClickHouse, name: str) -> None:
    assert header(admin_sql, f"SELECT * FROM viworks.{name} LIMIT 1")


def header(sql: ClickHouse, query: str) -> bytes:
    """The names of the columns: there also where no row is. A query that cannot run raises."""
    return sql.raw_query(query, fmt="TabSeparatedWithNames").partition(b"\n")[0]
