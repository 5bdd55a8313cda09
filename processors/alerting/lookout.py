"""What an agent passes on to the rules: only what some rule wants to see, with the node of its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from processors.alerting import signals, sources
from processors.alerting.signals import Signal
from processors.clones import Boots
from processors.liveness import Transition
from processors.rule_book import RuleBook
from processors.watermark import BlindSpan

Record = dict[str, Any]
NodeOf = Callable[[str], str | None]


class Lookout:
    """``node_of`` finds a client's node; it is asked only for what is passed on."""

    def __init__(self, book: RuleBook, node_of: NodeOf) -> None:
        self._book = book
        self._node_of = node_of

    def event(self, event: Record) -> Signal | None:
        """A security event."""
        if not self._book.interest.wants(signals.EVENTS, event):
            return None
        return sources.of_event(event, self._node_of(event["client_id"]))

    def rejection(self, rejection: Record) -> Signal | None:
        """A refusal."""
        if not self._book.interest.wants(signals.REJECTIONS, rejection):
            return None
        return sources.of_rejection(rejection, self._node_of(rejection["client_id"]))

    def audit(self, audit: Record) -> Signal | None:
        """Something that was done."""
        return sources.of_audit(audit) if self._book.interest.wants(signals.AUDIT, audit) else None

    def heartbeat(self, heartbeat: Record) -> Signal | None:
        """A heartbeat. The record gets a member for the skew: copying each would cost more than all the rest."""
        client_id, at = heartbeat["client_id"], heartbeat["received_at"]
        heartbeat["skew_ms"] = heartbeat["timestamp"] - at
        if not self._book.metrics.wants(client_id, at, heartbeat):
            return None
        return sources.of_heartbeat(heartbeat, self._node_of(client_id))

    def transition(self, transition: Transition) -> Signal:
        """A change of liveness. All are passed on: shares of the fleet count clients that no rule is about."""
        return sources.of_transition(transition, self._node_of(transition.client_id))

    def clone(self, heartbeat: Record, before: Boots, after: Boots) -> Signal:
        """Two machines with one identity."""
        return sources.of_clone(heartbeat, before, after, self._node_of(heartbeat["client_id"]))

    def blind_span(self, span: BlindSpan, partition: int) -> Signal:
        """A span that a partition could not see."""
        return sources.of_blind_span(span, partition)
