"""The shell of ``viworks sql``: lines into statements, its own words, what it shows and keeps."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import SqlRefused
from infra.sql_shell import Shell, harmless, line_editing


class FakePort:
    """Notes what it is asked; refuses what begins with BAD."""

    def __init__(self, answer: bytes = b"1\n") -> None:
        self.asked: list[tuple[str, str]] = []
        self._answer = answer

    def run(self, sql: str, output_format: str) -> Iterator[bytes]:
        self.asked.append((sql, output_format))
        if sql.startswith("BAD"):
            raise SqlRefused("Code: 62. DB::Exception: no")
        yield self._answer


def talk(lines: list[str | type[BaseException]], port: FakePort) -> str:
    """What the shell shows for these lines, after which the input ends."""
    given = iter(lines)

    def read(prompt: str) -> str:
        line = next(given, EOFError)
        if isinstance(line, str):
            return line
        raise line

    out = io.StringIO()
    Shell(port, read, out, "PrettyCompact").run()
    return out.getvalue()


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        (["SELECT 1;"], ["SELECT 1"]),
        (["SELECT", "  1", ";"], ["SELECT\n  1\n"]),
        (["SELECT ';'", "AS x;"], ["SELECT ';'\nAS x"]),
        (["", ";", "SELECT 1;"], ["SELECT 1"]),
        (["SELECT", KeyboardInterrupt, "SELECT 2;"], ["SELECT 2"]),
        (["BAD;", "SELECT 3;"], ["BAD", "SELECT 3"]),
        (["quit", "SELECT 4;"], []),
        (["\\q"], []),
        (["DESCRIBE TABLE events;"], ["DESCRIBE TABLE events"]),
    ],
)
def test_lines_become_statements(lines: list[str | type[BaseException]], asked: list[str]) -> None:
    port = FakePort()
    talk(lines, port)
    assert [sql for sql, _ in port.asked] == asked


def test_its_own_words() -> None:
    port = FakePort()
    shown = talk(
        ["\\dt", "tables", "\\d viworks.events", "describe x';drop", "format CSV", "SELECT 1;", "help", "BAD;"], port
    )
    (tables, _), (again, _), (columns, _), (hostile, _), *rest = port.asked
    assert tables == again
    assert "table = 'events'" in columns
    assert "table = 'xdrop'" in hostile
    assert rest == [("SELECT 1", "CSV"), ("BAD", "CSV")]
    assert "Ctrl-D" in shown
    assert "Code: 62" in shown


def test_a_terminal_gets_no_orders() -> None:
    assert "".join(harmless([b"a\x1b]0;owned\x07\tb\n", "\x9b2J é".encode()])) == "a?]0;owned?\tb\n?2J é"
    assert "".join(harmless(["é".encode()[:1], "é".encode()[1:]])) == "é"


def test_the_history_is_its_owners_alone(tmp_path: Path) -> None:
    history = tmp_path / "sql-history"
    history.write_text("SELECT 1\n")
    history.chmod(0o644)
    with line_editing(history, lambda: ["events"]):
        pass
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "SELECT 1" in history.read_text()
