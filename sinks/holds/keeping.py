"""Keeps what holds name: no TTL on a table while a hold touches it, and its rows copied before the job drops their part.

ClickHouse drops nothing by a TTL that the table does not have (``ALTER TABLE ... REMOVE TTL`` changes its definition, so it
also holds after a restart), and the job drops no part before its rows are copied. So no row under a hold can expire.
"""

from __future__ import annotations

from collections.abc import Sequence

from sinks.engine import Session
from sinks.errors import HoldIncomplete
from sinks.holds.hold import KEPT, Hold, any_of, held
from sinks.literals import quoted
from sinks.retention.parts import Part
from sinks.tables import DATABASE, RETENTIONS


def set_ttls(session: Session, holds: Sequence[Hold]) -> None:
    """Take the TTL from each table that a hold touches, and give the others theirs. Raises EngineUnavailable."""
    sql = f"SELECT name, engine_full FROM system.tables WHERE database = '{DATABASE}'"  # noqa: S608 - our own name
    definitions = {name: str(definition) for name, definition in session.rows(sql)}
    for table, retention in RETENTIONS.items():
        touched = any(hold.touches(table) for hold in holds)
        if touched and " TTL " in definitions[table]:
            session.command(f"ALTER TABLE {DATABASE}.{table} REMOVE TTL")
        elif not touched and f" TTL (toDateTime({retention.column}) + " not in definitions[table]:
            # In two steps, since ClickHouse would wait until every part is rewritten, for ever where merges are stopped.
            ttl = f"{retention.ttl} SETTINGS materialize_ttl_after_modify = 0"
            session.command(f"ALTER TABLE {DATABASE}.{table} MODIFY TTL {ttl}")
            session.command(f"ALTER TABLE {DATABASE}.{table} MATERIALIZE TTL SETTINGS mutations_sync = 0")


def copy(session: Session, holds: Sequence[Hold], table: str, parts: Sequence[Part] | None = None) -> None:
    """Copy the rows under a hold of some parts, or of the whole table; those that are copied already are left out.

    Raises:
        EngineUnavailable: some may not be copied.
    """
    if not any(hold.touches(table) for hold in holds):
        return
    _add_new_columns(session, table)
    names = ", ".join(_columns(session, table))
    missing = _missing(table, holds, parts)
    session.command(f"INSERT INTO {held(table)} ({names}) SELECT {names} {missing} SETTINGS {_INSERT}")


def require_copied(session: Session, holds: Sequence[Hold], table: str, parts: Sequence[Part]) -> None:
    """Raise HoldIncomplete where rows of the parts are under a hold and not copied; EngineUnavailable."""
    if any(hold.touches(table) for hold in holds):
        left = session.rows(f"SELECT count() {_missing(table, holds, parts)}")[0][0]
        if left:
            raise HoldIncomplete(f"{left} rows under a hold are not copied")


def counted(session: Session, hold: Hold) -> dict[str, int]:
    """How many rows of each table are kept for a hold. Raises EngineUnavailable."""
    return {
        table: int(session.rows(f"SELECT count() FROM {held(table)} FINAL WHERE {hold.predicate(table)}")[0][0])  # noqa: S608
        for table in hold.tables
    }


_INSERT = "max_partitions_per_insert_block = 0, insert_deduplicate = 0, async_insert = 0"


def _missing(table: str, holds: Sequence[Hold], parts: Sequence[Part] | None) -> str:
    kept = KEPT[table]
    compared = f"({', '.join(kept.compared)})"
    final = " FINAL" if kept.newest else ""
    within, about = _of_parts(table, parts), ""
    if parts and not kept.newest:
        about = f" WHERE {_span(table, parts)}"
    known = f"SELECT {', '.join(kept.compared)} FROM {held(table)}{about}"  # noqa: S608 - our own names, here and below
    return f"FROM {DATABASE}.{table}{final} WHERE ({any_of(holds, table)}) AND {within} AND {compared} NOT IN ({known})"


def _of_parts(table: str, parts: Sequence[Part] | None) -> str:
    if parts is None:
        return "1"
    if KEPT[table].newest:
        # Rows of one key may stand in several parts and make one row together.
        return _span(table, parts)
    return f"_part IN ({', '.join(quoted(part.name) for part in parts)})"


def _span(table: str, parts: Sequence[Part]) -> str:
    column = RETENTIONS[table].column
    first = min(part.content.times.first for part in parts)
    last = max(part.content.times.last for part in parts)
    return f"{column} BETWEEN fromUnixTimestamp64Milli({first}, 'UTC') AND fromUnixTimestamp64Milli({last}, 'UTC')"


def _columns(session: Session, table: str) -> list[str]:
    where = f"database = '{DATABASE}' AND table = '{table}' AND default_kind NOT IN ('MATERIALIZED', 'ALIAS')"
    return [f"`{name}`" for (name,) in session.rows(f"SELECT name FROM system.columns WHERE {where}")]  # noqa: S608


def _add_new_columns(session: Session, table: str) -> None:
    """A later version may have given the table columns that its copy does not have."""
    there = f"SELECT name FROM system.columns WHERE database = '{DATABASE}' AND table = 'held_{table}'"  # noqa: S608
    where = f"database = '{DATABASE}' AND table = '{table}' AND default_kind != 'ALIAS' AND name NOT IN ({there})"
    for name, kind, comment in session.rows(f"SELECT name, type, comment FROM system.columns WHERE {where}"):  # noqa: S608
        session.command(f"ALTER TABLE {held(table)} ADD COLUMN IF NOT EXISTS `{name}` {kind} COMMENT {quoted(comment)}")
