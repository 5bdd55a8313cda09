"""Verifies rows as they arrive, and counts what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sinks.proof.reading import Choice, rows_of, rows_query
from sinks.proof.verification import Outcome, Verdict, Verifier


class Report:
    """Counts by table and outcome, and the speed."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Outcome]] = Counter()
        self._sealed: Counter[tuple[str, str]] = Counter()
        self._began = time.monotonic()

    @property
    def faults(self) -> int:
        return sum(number for (_, outcome), number in self._counts.items() if outcome is Outcome.FAULT)

    def add(self, table: str, verdict: Verdict) -> None:
        """Count a row."""
        self._counts[table, verdict.outcome] += 1
        self._sealed.update((table, column) for column in verdict.sealed_columns)

    def lines(self) -> Iterator[str]:
        """The counts, for people."""
        for (table, outcome), number in sorted(self._counts.items()):
            yield f"{table:<16}{number:>10}  {outcome.value}"
        for (table, column), number in sorted(self._sealed.items()):
            yield f"{table:<16}{number:>10}  {column} not compared: needs the SOC's key"
        total, seconds = self._counts.total(), time.monotonic() - self._began
        yield f"{total} rows in {seconds:.1f} s: {total / max(seconds, 0.001):.0f} rows/s, {self.faults} faults"


def verify_tables(
    ask: Callable[[str], Iterator[bytes]], tables: Sequence[str], choice: Choice, verifier: Verifier, report: Report
) -> Iterator[str]:
    """Verify the chosen rows of the tables; a line for each fault.

    Args:
        ask: runs a query and gives its answer as JSONEachRow, in pieces.
    """
    for table in tables:
        for row in rows_of(ask(rows_query(table, choice))):
            verdict = verifier.judge(table, row)
            report.add(table, verdict)
            if verdict.outcome is Outcome.FAULT:
                yield _line(table, row, verdict.fault)


def _line(table: str, row: dict[str, Any], fault: str) -> str:
    """A client id of a row that was changed can be any text: nothing in it moves the cursor of a terminal."""
    client = "".join(letter if letter.isprintable() else "?" for letter in str(row["client_id"]))
    return f"{table}:{row['_topic']}:{row['_partition']}:{row['_offset']}  {client}: {fault}"
