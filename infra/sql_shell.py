"""``viworks sql`` as a conversation: lines become statements, a few words are answered by the shell itself."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TextIO

from infra.errors import SqlPortAway, SqlRefused

_FIRST, _FURTHER = "viworks> ", "     ..> "
_HISTORY_LINES = 1000
# What a terminal would obey, but for the line feed and the tab: what clients report is shown, not carried out.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HELP = """\
A statement ends with ; at the end of a line. Ctrl-C ends the line, or the query that runs; Ctrl-D ends the shell.
  tables, \\dt             the tables and views that this token sees
  describe NAME, \\d NAME  the columns of one, with their comments
  format NAME, \\f NAME    how results look: PrettyCompact, Vertical, JSONEachRow, CSVWithNames, ...
  help, \\?   quit, \\q
"""
_TABLES = "SELECT name, engine, comment FROM system.tables WHERE database = 'viworks' ORDER BY name"
_COLUMNS = "SELECT name, type, comment FROM system.columns WHERE database = 'viworks' AND table = '{}' ORDER BY position"


class Asks(Protocol):
    """Whoever the shell gets its answers from: ``SqlClient``."""

    def run(self, sql: str, output_format: str) -> Iterator[bytes]:
        """The result in pieces. Raises SqlRefused, SqlPortAway."""


class Shell:
    """Reads lines by ``read(prompt)``, which raises EOFError at the end, and writes to ``out``."""

    def __init__(self, client: Asks, read: Callable[[str], str], out: TextIO, output_format: str) -> None:
        self._client = client
        self._read = read
        self._out = out
        self.output_format = output_format

    def run(self) -> None:
        """Talk until the user ends it."""
        while True:
            try:
                statement = self._statement()
                if statement is None:
                    return
                self._do(statement)
            except KeyboardInterrupt:
                self._out.write("\n")
            except EOFError:
                self._out.write("\n")
                return
            except (SqlRefused, SqlPortAway) as error:
                self._out.write(f"{error}\n")

    def _statement(self) -> str | None:
        lines = [self._read(_FIRST)]
        word = lines[0].strip().removesuffix(";").strip()
        if word.lower() in {"quit", "exit", "\\q"}:
            return None
        if not word or self._is_own(word):
            return word
        while not lines[-1].rstrip().endswith(";"):
            lines.append(self._read(_FURTHER))
        return "\n".join(lines).rstrip().removesuffix(";")

    @staticmethod
    def _is_own(text: str) -> bool:
        words = text.split()
        own = words[0].lower()
        return own in {"help", "\\?", "tables", "\\dt"} or (own in {"describe", "\\d", "format", "\\f"} and len(words) == 2)

    def _do(self, text: str) -> None:
        if not text:
            return
        if not self._is_own(text):
            self._show(text, self.output_format)
            return
        word, _, name = text.partition(" ")
        if word.lower() in {"help", "\\?"}:
            self._out.write(_HELP)
        elif word.lower() in {"tables", "\\dt"}:
            self._show(_TABLES, "PrettyCompact")
        elif word.lower() in {"describe", "\\d"}:
            self._show(_COLUMNS.format(re.sub(r"\W", "", name.strip().removeprefix("viworks."))), "PrettyCompact")
        else:
            self.output_format = name.strip()

    def _show(self, sql: str, output_format: str) -> None:
        last = "\n"
        for text in harmless(self._client.run(sql, output_format)):
            self._out.write(text)
            last = text[-1:] or last
        self._out.write("" if last == "\n" else "\n")
        self._out.flush()


def harmless(pieces: Iterable[bytes]) -> Iterator[str]:
    """The pieces of a result, fit for a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield _CONTROL.sub("?", decoder.decode(piece))
    yield decoder.decode(b"", final=True)


@contextlib.contextmanager
def line_editing(history: Path, names: Callable[[], list[str]]) -> Iterator[Callable[[str], str]]:
    """Line editing, a history file of its owner's, completion of ``names``; plain input where there is no readline."""
    try:
        import readline
    except ImportError:
        yield input
        return
    descriptor = os.open(history, os.O_RDWR | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LINES)
    words = names()
    readline.set_completer(lambda text, number: _nth([word for word in words if word.startswith(text)], number))
    readline.parse_and_bind("tab: complete")
    try:
        yield input
    finally:
        before = os.umask(0o077)
        with contextlib.suppress(OSError):
            readline.write_history_file(history)
        os.umask(before)


def _nth(words: list[str], number: int) -> str | None:
    return words[number] if number < len(words) else None
