"""The log and its checkpoints through SQL: the SQL port of the embedded engine, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from sinks.audit.pages import PAGE
from sinks.audit.rows import CHECKPOINTS, LOG
from sinks.errors import EngineUnavailable
from sinks.tables import RETENTIONS

_COLUMNS = (
    "_topic, _partition, _offset, audit_id, toUnixTimestamp64Milli(timestamp) AS timestamp, actor, action, subject, "
    "outcome, details, _position, toInt32(_day) AS _day, toUnixTimestamp64Milli(_written_at) AS _written_at, _value, "
    "_leaf_hash, _chain_hash"
)
_NOTES = 50_000


def tables(client: Client) -> Iterator[pa.Table]:
    """The records of all days that have not expired, in order, some thousands at a time. Raises EngineUnavailable."""
    kept, position = RETENTIONS["audit_log"].predicate, -1
    while True:
        with _translated():
            table = client.query_arrow(
                f"SELECT {_COLUMNS} FROM {LOG} WHERE _position > {position} AND {kept} "  # noqa: S608 - our own names
                f"ORDER BY audit_log._position LIMIT {PAGE}"
            )
        if table.num_rows:
            yield table
            position = table.column("_position")[-1].as_py()
        if table.num_rows < PAGE:
            return


def notes(client: Client) -> list[str]:
    """All checkpoints of the table, in order. Raises EngineUnavailable."""
    found: list[str] = []
    while True:
        with _translated():
            page = client.query(
                f"SELECT note FROM {CHECKPOINTS} ORDER BY sequence, note LIMIT {_NOTES} OFFSET {len(found)}"  # noqa: S608
            ).result_rows
        found += [note for (note,) in page]
        if len(page) < _NOTES:
            return found


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ClickHouseError, OSError, pa.ArrowException) as error:
        # ClickHouse's text may repeat a value; what went wrong is in its code.
        raise EngineUnavailable(f"{type(error).__name__} {getattr(error, 'code', None) or ''}".strip()) from None
