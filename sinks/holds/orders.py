"""The handlers of ``hold.set`` and ``hold.release``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sinks.engine import Session
from sinks.errors import OrderRefused
from sinks.holds import keeping, store
from sinks.holds.hold import Hold, any_of, held, hold_of
from sinks.orders.order import Order
from sinks.retention.deletion import delete
from sinks.retention.entries import Dropped, Entry, Reason
from sinks.retention.manifest import Manifest


class Holds:
    """Each may be called again after a crash, and then finishes."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def set(self, order: Order, session: Session) -> Mapping[str, Any]:
        """Put a hold in force and copy what it names; returns how many rows of each table it found."""
        try:
            hold = hold_of(order.subject, order.body, order.given_at_ms, order.actor, order.order_id)
        except ValueError as error:
            raise OrderRefused(str(error)) from None
        present = {each.name: each for each in store.active(session)}
        known = present.get(hold.name)
        if known and known.names_the_same_as != hold.names_the_same_as:
            raise OrderRefused(f"there is a hold {hold.name} that names other rows: release it, or take another name")
        holds = [*(each for each in present.values() if each.name != hold.name), hold]
        if not known:
            store.put(session, hold)
        # In this order: from here on nothing expires by itself, so what is found can be copied in peace.
        keeping.set_ttls(session, holds)
        for table in hold.tables:
            keeping.copy(session, [hold], table)
        rows = keeping.counted(session, hold)
        return {"rows": rows, "clients": len(hold.client_ids)}

    def release(self, order: Order, session: Session) -> Mapping[str, Any]:
        """End a hold, and delete what no other hold names. The manifest says so, table by table."""
        present = store.active(session)
        hold = next((each for each in present if each.name == order.subject), None)
        if hold is None:
            raise OrderRefused(f"there is no hold {order.subject[:64]}")
        others = [each for each in present if each is not hold]
        self._manifest.open(session)
        deleted = {table: self._delete(session, hold, others, table) for table in hold.tables}
        store.remove(session, hold)
        keeping.set_ttls(session, others)
        return {"rows": {table: rows for table, rows in deleted.items() if rows}}

    def _delete(self, session: Session, hold: Hold, others: list[Hold], table: str) -> int:
        name = held(table)
        where = f"{hold.predicate(table)} AND NOT ({any_of(others, table)})"
        rows = int(session.rows(f"SELECT count() FROM {name} FINAL WHERE {where}")[0][0])  # noqa: S608 - quoted by hold
        pending = self._pending(hold, name)
        if not rows and not pending:
            return 0
        about = pending.dropped if pending else Dropped(name, Reason.HOLD_RELEASE, rows=rows, cause=hold.name)
        intent = pending or self._manifest.intend(session, about)
        delete(session, f"held_{table}", where)
        self._manifest.complete(session, intent, about)
        return about.rows

    def _pending(self, hold: Hold, table: str) -> Entry | None:
        """What a process that ended had only announced."""
        found = (entry for entry in self._manifest.pending if entry.dropped.cause == hold.name)
        return next((entry for entry in found if entry.dropped.table == table), None)
