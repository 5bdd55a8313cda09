"""Deletes rows within parts. ClickHouse does it beside its merges, and not at all while somebody has stopped those."""

from __future__ import annotations

import time

from sinks.engine import Session
from sinks.errors import EngineUnavailable
from sinks.tables import DATABASE

_WAIT_S = 120.0
_POLL_S = 0.05


def delete(session: Session, table: str, where: str, wait_s: float = _WAIT_S) -> None:
    """Return once no row of ``where`` is left. May be called again where it did not end.

    Raises:
        EngineUnavailable: not within ``wait_s``; what was begun goes on.
    """
    deadline = time.monotonic() + wait_s
    if not _is_under_way(session, table):
        session.command(f"ALTER TABLE {DATABASE}.{table} DELETE WHERE {where} SETTINGS mutations_sync = 0")
    while session.rows(f"SELECT 1 FROM {DATABASE}.{table} WHERE {where} LIMIT 1 SETTINGS final = 0"):  # noqa: S608 - the caller's
        if time.monotonic() > deadline:
            raise EngineUnavailable("a deletion is not done yet")
        time.sleep(_POLL_S)
        if not _is_under_way(session, table):
            # Rows that came meanwhile, or what was under way was another deletion.
            session.command(f"ALTER TABLE {DATABASE}.{table} DELETE WHERE {where} SETTINGS mutations_sync = 0")


def _is_under_way(session: Session, table: str) -> bool:
    where = f"database = '{DATABASE}' AND table = '{table}' AND NOT is_done AND NOT is_killed"
    return bool(session.rows(f"SELECT 1 FROM system.mutations WHERE {where} LIMIT 1"))  # noqa: S608 - our own names
