"""Erases a client from the warehouse: its rows, its name in the rows of others, and last what its pseudonym means.

Tables and columns are those that the engine lists, so that a new table is erased from by itself. The audit log is a chain
and is not touched: it has pseudonyms only, which mean nothing any more when this is done. Each step may be done again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

from sinks.audit.pseudonyms import SUBJECTS, word_pattern
from sinks.engine import Session
from sinks.errors import ErasureFailed
from sinks.literals import quoted
from sinks.retention.deletion import delete
from sinks.tables import DATABASE

CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")

# What is signed cannot be edited, nor a copy of it; the link to it is what goes, and it goes last.
_UNTOUCHED = (
    "audit_log", "held_audit_log", "audit_checkpoints", "audit_subjects", "retention_manifest", "schema_migrations",
)  # fmt: skip
_WHOLE = "SETTINGS mutations_sync = 2"


class Column(NamedTuple):
    """A column that holds text. ``fixed``: in a key of its table, so that no statement can change it."""

    table: str
    name: str
    type: str
    fixed: bool

    @property
    def quoted(self) -> str:
        """Its name in a statement."""
        return f"`{self.name}`"


@dataclass(slots=True)
class Erased:
    """What was done, by table: rows that were deleted, and rows of others in which a name became the pseudonym.

    ``kept``: rows of the audit log from before it had pseudonyms, and until when it has them.
    """

    deleted: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    kept_until: str = ""


Deleting = Callable[[str, int], AbstractContextManager[None]]
"""Entered with a table and a number of rows while these are deleted, so that somebody can write it down."""


def _unwritten(table: str, rows: int) -> AbstractContextManager[None]:
    return nullcontext()


def erase(session: Session, client_id: str, pseudonym: str, deleting: Deleting = _unwritten) -> Erased:
    """Erase a client, and return once every table is rewritten.

    Args:
        pseudonym: what the audit log names it by; empty where it names it nowhere.
        deleting: see ``Deleting``.

    Raises:
        ErasureFailed: no client id, or its name is left somewhere; it may be tried again.
        EngineUnavailable: ClickHouse does not answer.
    """
    if not CLIENT_ID.fullmatch(client_id):
        raise ErasureFailed("this is no client id")
    columns = _columns(session)
    done = Erased()
    for table in sorted({column.table for column in columns if column.name == "client_id"}):
        _delete_own(session, table, client_id, done, deleting)
    for table in sorted({column.table for column in columns}):
        _rename_elsewhere(
            session, [column for column in columns if column.table == table], client_id, pseudonym, done, deleting
        )
    left = [column for column in columns if _count(session, column.table, _names(column, client_id))]
    if left:
        raise ErasureFailed(f"it is still named in {', '.join(f'{column.table}.{column.name}' for column in left)}")
    done.kept, done.kept_until = _kept(session, client_id)
    delete(session, "audit_subjects", f"client_id = {quoted(client_id)}")
    return done


def client_of(session: Session, pseudonym: str) -> str | None:
    """The client that a pseudonym stands for; None where its link was destroyed. Raises EngineUnavailable."""
    sql = f"SELECT client_id FROM {SUBJECTS} WHERE pseudonym = {quoted(pseudonym)} LIMIT 1"  # noqa: S608 - quoted
    return next((str(client_id) for (client_id,) in session.rows(sql)), None)


def _delete_own(session: Session, table: str, client_id: str, done: Erased, deleting: Deleting) -> None:
    own = f"client_id = {quoted(client_id)}"
    count = _count(session, table, own)
    if count:
        with deleting(table, count):
            delete(session, table, own)
        done.deleted[table] = count


def _rename_elsewhere(
    session: Session, columns: Sequence[Column], client_id: str, pseudonym: str, done: Erased, deleting: Deleting
) -> None:
    for column in columns:
        names = _names(column, client_id)
        count = 0 if column.name == "client_id" else _count(session, column.table, names)
        if count:
            renaming = _renaming(column, client_id, pseudonym)
            if column.fixed:
                with deleting(column.table, count):
                    _rewrite(session, column, names, renaming)
            else:
                _update(session, column, names, renaming)
            done.renamed[column.table] = done.renamed.get(column.table, 0) + count


def _update(session: Session, column: Column, names: str, renaming: str) -> None:
    session.command(f"ALTER TABLE {DATABASE}.{column.table} UPDATE {column.quoted} = {renaming} WHERE {names} {_WHOLE}")


def _rewrite(session: Session, column: Column, names: str, renaming: str) -> None:
    """What stands in a key is changed by writing the row anew: somebody else's row, which must not be lost."""
    table, place = f"{DATABASE}.{column.table}", "(_partition, _offset)"
    session.command(
        f"INSERT INTO {table} SELECT * REPLACE({renaming} AS {column.quoted}) FROM (SELECT * FROM {table} WHERE {names}) "  # noqa: S608
        "SETTINGS final = 0, optimize_on_insert = 0, insert_deduplicate = 0, max_partitions_per_insert_block = 0"
    )
    old = f"SELECT {place} FROM {table} WHERE {names}"  # noqa: S608 - quoted
    if _count(session, column.table, f"{place} IN ({old}) AND NOT {names}") < _count(session, column.table, names):
        raise ErasureFailed(f"rows of {column.table} were not written anew")
    delete(session, column.table, names)


def _columns(session: Session) -> list[Column]:
    untouched = ", ".join(f"'{name}'" for name in _UNTOUCHED)
    rows = session.rows(
        "SELECT c.table, c.name, c.type, c.is_in_sorting_key OR c.is_in_partition_key FROM system.columns AS c "  # noqa: S608
        "INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table "
        f"WHERE c.database = '{DATABASE}' AND t.engine LIKE '%MergeTree' AND c.table NOT IN ({untouched}) "
        "AND c.type LIKE '%String%' AND c.type NOT LIKE '%FixedString%' AND c.default_kind NOT IN ('ALIAS', 'MATERIALIZED')"
    )
    return [Column(table, name, kind, bool(fixed)) for table, name, kind, fixed in rows]


def _names(column: Column, client_id: str) -> str:
    """Whether a value is the client's id, or has it as a word."""
    pattern = quoted(word_pattern(client_id))
    if column.type.startswith("Array"):
        return f"arrayExists(each -> match(each, {pattern}), {column.quoted})"
    text = f"ifNull({column.quoted}, '')" if "Nullable" in column.type else column.quoted
    return f"(position({text}, {quoted(client_id)}) > 0 AND match({text}, {pattern}))"


def _renaming(column: Column, client_id: str, pseudonym: str) -> str:
    pattern, by = quoted(word_pattern(client_id)), quoted(rf"\1{pseudonym or 'erased'}\2")
    # Twice: what stands between two names belongs to the first match.
    within = "each" if column.type.startswith("Array") else column.quoted
    twice = f"replaceRegexpAll(replaceRegexpAll({within}, {pattern}, {by}), {pattern}, {by})"
    return f"arrayMap(each -> {twice}, {column.quoted})" if within == "each" else twice


def _count(session: Session, table: str, condition: str) -> int:
    sql = f"SELECT count() FROM {DATABASE}.{table} WHERE {condition} SETTINGS final = 0"  # noqa: S608 - quoted above
    return int(session.rows(sql)[0][0])


def _kept(session: Session, client_id: str) -> tuple[int, str]:
    named = quoted(client_id)
    rows = session.rows(
        f"SELECT count(), toString(max(_day_end) + INTERVAL 1 YEAR) FROM {DATABASE}.audit_log "  # noqa: S608 - quoted
        f"WHERE subject = {named} OR actor = {named} OR position(details, {named}) > 0"
    )
    count, until = rows[0]
    return int(count), str(until) if count else ""
