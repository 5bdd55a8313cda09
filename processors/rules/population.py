"""Who is in service, by node: what a share of the fleet or of a node is a share of."""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from processors.alerting.signals import Signal
from processors.rules.model import FLEET, Threshold

_SIGNED_OFF = frozenset({"reported", "never_came"})


class _Client(NamedTuple):
    node_id: str | None
    in_service: bool


class Population:
    """In service are the clients that are heard or missed: not those that signed off, never came or are gone.

    So at night a share is one of the clients that are there, and an outage does not shrink what it is measured by.
    """

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._nodes: Counter[str | None] = Counter()
        self._changed: set[str] = set()

    def observe(self, signal: Signal) -> None:
        """Take a change of liveness into account."""
        state, reason = signal.fields.get("state"), signal.fields.get("reason")
        away = state == "gone" or (state == "offline" and reason in _SIGNED_OFF)
        client = _Client(signal.node_id, not away)
        if signal.client_id and self._clients.get(signal.client_id) != client:
            self._put(signal.client_id, client)
            self._changed.add(signal.client_id)

    def size(self, threshold: Threshold, node_id: str | None) -> int:
        """How many there are of what a threshold is a share of; 0 where it is no share."""
        if not threshold.of:
            return 0
        return self._nodes.total() if threshold.of == FLEET else self._nodes[node_id]

    def changes(self) -> dict[str, bytes]:
        """The clients that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {client_id: json.dumps(self._clients[client_id]).encode() for client_id in changed}

    def restore(self, client_id: str, value: bytes) -> None:
        """A client as ``changes`` gave it."""
        self._put(client_id, _Client(*json.loads(value)))

    def _put(self, client_id: str, client: _Client) -> None:
        before = self._clients.get(client_id)
        if before is not None and before.in_service:
            self._nodes[before.node_id] -= 1
        if client.in_service:
            self._nodes[client.node_id] += 1
        self._clients[client_id] = client
