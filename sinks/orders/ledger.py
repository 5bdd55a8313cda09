"""What became of orders, in the warehouse itself: it outlives the process and is shared by all sinks of a server."""

from __future__ import annotations

import json

from sinks.engine import Session
from sinks.literals import quoted
from sinks.orders.order import Order, Outcome, Result
from sinks.tables import DATABASE

LEDGER = f"{DATABASE}.warehouse_orders"


def answered(session: Session, order: Order) -> Result | None:
    """What the order was answered with, if it was. Raises EngineUnavailable."""
    where = f"order_id = {quoted(order.order_id)}"
    rows = session.rows(f"SELECT outcome, details FROM {LEDGER} FINAL WHERE {where}")  # noqa: S608 - our own name, and quoted
    return Result(Outcome(rows[0][0]), json.loads(rows[0][1])) if rows else None


def note(session: Session, order: Order, result: Result, now_ms: int) -> None:
    """Return once it is written. Raises EngineUnavailable."""
    details = json.dumps(result.details, separators=(",", ":"))
    values = ", ".join(map(quoted, (order.order_id, order.action, result.outcome.value, details)))
    columns = "(order_id, action, outcome, details, timestamp)"
    session.command(f"INSERT INTO {LEDGER} {columns} VALUES ({values}, fromUnixTimestamp64Milli({now_ms}))")  # noqa: S608
