"""Who is in service, by node: what a share of the fleet or of a node is a share of."""

from __future__ import annotations

import json
from collections import Counter

from processors.alerting.signals import Signal
from processors.rules.model import FLEET, Threshold

_SIGNED_OFF = frozenset({"reported", "never_came"})


class Population:
    """In service are the clients that are heard or missed: not those that signed off, never came or are gone.

    So at night a share is one of the clients that are there, and an outage does not shrink what it is measured by.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, str | None] = {}
        self._sizes: Counter[str | None] = Counter()
        self._changed: set[str] = set()

    def observe(self, signal: Signal) -> None:
        """Take a change of liveness into account."""
        client_id, fields = signal.client_id, signal.fields
        state = fields.get("state")
        away = state == "gone" or (state == "offline" and fields.get("reason") in _SIGNED_OFF)
        known = client_id in self._nodes
        if not client_id or (away and not known) or (known and not away and self._nodes[client_id] == signal.node_id):
            return
        self._remove(client_id)
        if not away:
            self._put(client_id, signal.node_id)
        self._changed.add(client_id)

    def size(self, threshold: Threshold, node_id: str | None) -> int:
        """How many there are of what a threshold is a share of; 0 where it is no share."""
        if not threshold.of:
            return 0
        return len(self._nodes) if threshold.of == FLEET else self._sizes[node_id]

    def changes(self) -> dict[str, bytes | None]:
        """The clients that changed since the last call; None for those that are not in service any more."""
        changed, self._changed = self._changed, set()
        return {c: json.dumps(self._nodes[c]).encode() if c in self._nodes else None for c in sorted(changed)}

    def restore(self, client_id: str, value: bytes) -> None:
        """A client as ``changes`` gave it."""
        self._remove(client_id)
        self._put(client_id, json.loads(value))

    def _put(self, client_id: str, node_id: str | None) -> None:
        self._nodes[client_id] = node_id
        self._sizes[node_id] += 1

    def _remove(self, client_id: str) -> None:
        if client_id not in self._nodes:
            return
        node_id = self._nodes.pop(client_id)
        self._sizes[node_id] -= 1
        if not self._sizes[node_id]:
            del self._sizes[node_id]
