"""The handler of ``subject.erase``: refuses what is under a legal hold, and writes down what goes, before it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sinks import erasure
from sinks.engine import Session
from sinks.errors import OrderRefused
from sinks.holds import store
from sinks.orders.order import Order
from sinks.retention.entries import Dropped, Reason
from sinks.retention.manifest import Manifest


class Erasures:
    """Orders name a client by its pseudonym, so that neither they nor their audit outlive the link to it."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def erase(self, order: Order, session: Session) -> Mapping[str, Any]:
        """Erase the client; may be called again after a crash, and then finishes.

        Raises:
            OrderRefused: a legal hold covers the client; names the hold.
            ErasureFailed, ManifestInvalid, EngineUnavailable: see there.
        """
        client_id = erasure.client_of(session, order.subject)
        if client_id is None:
            return {"deleted": {}, "renamed": {}, "kept": 0, "kept_until": ""}
        holds = store.covering(session, client_id)
        if holds:
            raise OrderRefused(f"rows of the client are under the legal hold {', '.join(hold.name for hold in holds)}")
        self._manifest.open(session)
        done = erasure.erase(session, client_id, order.subject, partial(self._written_down, session, order))
        return {"deleted": done.deleted, "renamed": done.renamed, "kept": done.kept, "kept_until": done.kept_until}

    @contextmanager
    def _written_down(self, session: Session, order: Order, table: str, rows: int) -> Iterator[None]:
        about = Dropped(table, Reason.ERASURE, rows=rows, cause=order.order_id)
        announced = (
            entry
            for entry in self._manifest.pending
            if entry.dropped.cause == order.order_id and entry.dropped.table == table
        )
        intent = next(announced, None) or self._manifest.intend(session, about)
        yield
        self._manifest.complete(session, intent, about)
