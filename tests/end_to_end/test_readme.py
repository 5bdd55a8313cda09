"""What the README tells a newcomer to type works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from clickhouse_connect.driver.client import Client as ClickHouse

from tests.end_to_end.system import System
from tests.infra.waiting import eventually

README = (Path(__file__).parents[2] / "README.md").read_text()


def example(heading: str) -> str:
    """The first indented block under a heading."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(r"(?:^    .*\n|^\n(?=    ))+", section, re.MULTILINE)
    assert found, heading
    return textwrap.dedent(found.group())


def test_the_client_example_sends_an_event_that_raises_an_alert(system: System, sql: ClickHouse, tmp_path: Path) -> None:
    program = example("Send something").replace("http://127.0.0.1:8080", system.run["edge"])
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    alerts = "SELECT rule, severity, status FROM alerts WHERE client_id = 'laptop-7' AND rule != 'offline'"
    assert eventually(lambda: sql.query(alerts).result_rows, "the alert") == [("high_severity", "high", "firing")]


def test_the_question_of_the_readme_gets_an_answer(system: System, sql: ClickHouse) -> None:
    found = re.search(r"--data '(.*?)'", example("Ask a question"))
    assert found
    assert b"client_id" in sql.raw_query(found.group(1))
