"""The holds that are in force, in the warehouse itself."""

from __future__ import annotations

from sinks.engine import Session
from sinks.holds.hold import Hold
from sinks.literals import quoted
from sinks.tables import DATABASE

TABLE = f"{DATABASE}.holds"
_MOMENT = "if(isNull({0}), NULL, toUnixTimestamp64Milli(assumeNotNull({0})))"
_COLUMNS = "name, client_ids, since, until, tables, set_at, actor, reason, order_id, released"


def active(session: Session) -> list[Hold]:
    """All holds that are not released, by name. Raises EngineUnavailable."""
    columns = (
        f"name, client_ids, {_MOMENT.format('since')}, {_MOMENT.format('until')}, tables, toUnixTimestamp64Milli(set_at)"
    )
    rows = session.rows(
        f"SELECT {columns}, actor, reason, order_id FROM {TABLE} FINAL WHERE NOT released ORDER BY name"  # noqa: S608
    )
    return [
        Hold(name, tuple(clients), since, until, tuple(tables), set_at, actor, reason, order_id)
        for name, clients, since, until, tables, set_at, actor, reason, order_id in rows
    ]


def covering(session: Session, client_id: str) -> list[Hold]:
    """The holds under which rows of a client may be. Raises EngineUnavailable."""
    return [hold for hold in active(session) if hold.covers(client_id)]


def put(session: Session, hold: Hold) -> None:
    """Return once it is written. Raises EngineUnavailable."""
    _insert(session, hold, released=False)


def remove(session: Session, hold: Hold) -> None:
    """Forget whom it named; its name stays as released. Raises EngineUnavailable."""
    _insert(session, hold, released=True)
    session.command(f"OPTIMIZE TABLE {TABLE} FINAL")


def _insert(session: Session, hold: Hold, released: bool) -> None:
    values = (
        quoted(hold.name),
        _array(() if released else hold.client_ids),
        _nullable(hold.since_ms),
        _nullable(hold.until_ms),
        _array(hold.tables),
        f"fromUnixTimestamp64Milli({hold.set_at_ms})",
        quoted(hold.actor),
        quoted(hold.reason),
        quoted(hold.order_id),
        str(released).lower(),
    )
    session.command(f"INSERT INTO {TABLE} ({_COLUMNS}) VALUES ({', '.join(values)})")  # noqa: S608 - quoted above


def _array(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def _nullable(ms: int | None) -> str:
    return "NULL" if ms is None else f"fromUnixTimestamp64Milli({ms})"
