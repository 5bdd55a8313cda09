"""The queries that fetch rows with their proofs, and the rows of their answers (JSONEachRow)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from sinks.proof.columns import KINDS
from sinks.proof.keys import Key
from sinks.tables import DATABASE

_BYTES = frozenset({"signature", "signed_bytes", "public_key"})
_TIMES = frozenset({"timestamp", "start_time", "end_time", "received_at", "valid_from"})
_PROOF = ("key_id", "signature", "signed_bytes", "signed_bytes_sealed", "received_at")
_PLACE = ("_topic", "_partition", "_offset")
_ROW = re.compile(r"\A(\w+):([\w.-]{1,249}):([0-9]{1,9}):([0-9]{1,18})\Z")


@dataclass(frozen=True, slots=True)
class RowName:
    """Where a row came from; the text is ``TABLE:TOPIC:PARTITION:OFFSET``."""

    table: str
    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> RowName:
        """Raise ValueError for anything else."""
        found = _ROW.match(text)
        if found is None or found[1] not in KINDS:
            raise ValueError("a row is TABLE:TOPIC:PARTITION:OFFSET")
        return cls(found[1], found[2], int(found[3]), int(found[4]))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows: all that is given must fit. ``since_ms`` is compared with ``received_at``; ``limit`` 0 for none."""

    client_id: str | None = None
    since_ms: int | None = None
    row: RowName | None = None
    limit: int = 0


def rows_query(table: str, choice: Choice) -> str:
    """The rows of a table that the choice names, with all that proves them."""
    kind = KINDS[table]
    names = dict.fromkeys((*_PLACE, *(each.name for each in kind.columns), *kind.sealed, *_PROOF))
    group = [kind.group] if kind.group else []
    extra = ["origin"] if table == "events" else []
    where = " AND ".join(_conditions(choice)) or "1"
    limit = f" LIMIT {choice.limit}" if choice.limit else ""
    return f"SELECT {_selected([*names, *group, *extra])} FROM {DATABASE}.{table} FINAL WHERE {where}{limit}"  # noqa: S608


def keys_query(client_id: str | None) -> str:
    """The history of keys, of one client or of all."""
    where = f"client_id = {_quoted(client_id)}" if client_id is not None else "1"
    names = _selected(["client_id", "key_id", "public_key", "valid_from", "origin"])
    return f"SELECT {names} FROM {DATABASE}.client_keys FINAL WHERE {where}"  # noqa: S608 - our own names, and quoted


def rows_of(answer: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of an answer that comes in pieces. Raises msgspec.DecodeError for a line that is no row."""
    rest = b""
    for piece in answer:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield _row(line)
    if rest.strip():
        yield _row(rest)


def keys_of(answer: Iterable[bytes]) -> Iterator[Key]:
    """The keys of an answer."""
    for row in rows_of(answer):
        yield Key(row["client_id"], row["key_id"], bytes.fromhex(row["public_key"]), row["valid_from"], row["origin"])


def _row(line: bytes) -> dict[str, Any]:
    """64-bit integers stand in quotation marks, unless the server was told otherwise; aliases begin with ``r_``.

    Text that is no UTF-8 came from nobody who signed it: it is made readable, and differs.
    """
    found: dict[str, Any] = msgspec.json.decode(line.decode(errors="replace"), type=dict[str, Any])
    row = {name.removeprefix("r_"): value for name, value in found.items()}
    for name in (_TIMES | {"_offset"}) & row.keys():
        row[name] = None if row[name] is None else int(row[name])
    return row


def _selected(names: Iterable[str]) -> str:
    """Aliases of their own, since ClickHouse would take a column's own name in WHERE for the expression."""
    return ", ".join(f"{_expression(name)} AS r_{name}" for name in names)


def _expression(name: str) -> str:
    if name in _BYTES:
        return f"hex({name})"
    return f"toUnixTimestamp64Milli({name})" if name in _TIMES else name


def _conditions(choice: Choice) -> Iterator[str]:
    if choice.client_id is not None:
        yield f"client_id = {_quoted(choice.client_id)}"
    if choice.since_ms is not None:
        yield f"received_at >= fromUnixTimestamp64Milli({choice.since_ms})"
    if choice.row is not None:
        yield f"_topic = {_quoted(choice.row.topic)}"
        yield f"_partition = {choice.row.partition} AND _offset = {choice.row.offset}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
