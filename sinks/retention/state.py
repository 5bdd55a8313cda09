"""What the job left in each table, for ``viworks retention``: exact, as old as the last pass."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from sinks.engine import Session
from sinks.literals import quoted
from sinks.retention.entries import Span, joined
from sinks.retention.parts import Part
from sinks.tables import DATABASE, RETENTIONS

TABLE = f"{DATABASE}.retention_state"
_COLUMNS = "table_name, at, rows, bytes, oldest, newest, expired, next_drop"


class State(msgspec.Struct, frozen=True):
    """Of one table; times in milliseconds."""

    table: str
    rows: int
    bytes: int
    times: Span | None
    expired: int
    next_drop_ms: int | None


def state_of(session: Session, table: str, parts: Collection[Part], deadline: int, now_ms: int) -> State:
    """What is in the parts of a table; only those with living and expired rows are read. Raises EngineUnavailable."""
    whole = sum(part.place.rows for part in parts if part.content.times.last <= deadline)
    mixed = [part.name for part in parts if part.content.times.first <= deadline < part.content.times.last]
    return State(
        table=table,
        rows=sum(part.place.rows for part in parts),
        bytes=sum(part.place.bytes for part in parts),
        times=joined([part.content.times for part in parts]),
        expired=whole + _expired(session, table, mixed, deadline),
        next_drop_ms=min((part.content.times.last - deadline + now_ms for part in parts), default=None),
    )


def write(session: Session, states: Collection[State], now_ms: int) -> None:
    """Return once they are written. Raises EngineUnavailable."""
    if states:
        rows = ", ".join(_values(state, now_ms) for state in states)
        session.command(f"INSERT INTO {TABLE} ({_COLUMNS}) VALUES {rows}")  # noqa: S608 - integers and our own names


def _expired(session: Session, table: str, names: list[str], deadline: int) -> int:
    if not names:
        return 0
    column = f"toUnixTimestamp64Milli(toDateTime64({RETENTIONS[table].column}, 3, 'UTC'))"
    where = f"_part IN ({', '.join(map(quoted, names))}) AND {column} <= {deadline}"
    return int(session.rows(f"SELECT count() FROM {DATABASE}.{table} WHERE {where} SETTINGS final = 0")[0][0])  # noqa: S608


def _values(state: State, now_ms: int) -> str:
    first, last = (state.times.first, state.times.last) if state.times else (None, None)
    moments = [_moment(each) for each in (now_ms, first, last, state.next_drop_ms)]
    at, oldest, newest, next_drop = moments
    return f"({quoted(state.table)}, {at}, {state.rows}, {state.bytes}, {oldest}, {newest}, {state.expired}, {next_drop})"


def _moment(ms: int | None) -> str:
    return "NULL" if ms is None else f"fromUnixTimestamp64Milli({ms})"
