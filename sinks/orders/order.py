"""What an order is, what comes of it, and the records that say so. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas import codec
from schemas.errors import CodecError
from sinks.engine import Session

Details = Mapping[str, Any]


class Outcome(StrEnum):
    """What a verdict says."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    """One order: ``action`` names its handler, ``given_at_ms`` is the clock of whoever gave it."""

    order_id: str
    action: str
    subject: str
    body: Details
    actor: str
    given_at_ms: int
    asker: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an order. ``details`` stand in the verdict and in the audit: no name of a client is among them."""

    outcome: Outcome
    details: Details


Handler = Callable[[Order, Session], Details]
"""Carries an order out and returns what to tell about it; blocking, in a thread, on a session of its own.

It may be called again with the same order after a crash, never after the order was answered. Whoever waits is answered when
it returns. It raises OrderRefused with the reason; KeyError, TypeError or ValueError where the body does not fit;
EngineUnavailable to be called again soon; any other SinkError is a failure that is told by its class and text.
"""


def order_of(value: bytes | None) -> Order:
    """The order of a Kafka value. Raises CodecError."""
    record = codec.decode_as("command", value)
    try:
        body = json.loads(record["body"])
    except (ValueError, RecursionError):
        raise CodecError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise CodecError("the body is no object")
    return Order(
        order_id=record["request_id"],
        action=record["action"],
        subject=record["subject"],
        body=body,
        actor=record["actor"],
        given_at_ms=record["received_at"],
        asker=record["edge"],
    )


def verdict_of(order: Order, result: Result, now_ms: int) -> dict[str, Any]:
    """The ``verdict`` record for whoever gave the order."""
    return {
        "request_id": order.order_id,
        "client_id": order.subject,
        "edge": order.asker,
        "outcome": result.outcome.value,
        "key_epoch": 0,
        "timestamp": now_ms,
        "details": _json(result.details),
    }


def audit_of(order: Order, result: Result) -> dict[str, Any]:
    """The ``audit`` record. An order that is answered again has the same one, byte for byte."""
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:viworks:audit:warehouse-order")
    facts = {"request_id": order.order_id, "reason": str(order.body.get("reason") or "")}
    return {
        "audit_id": str(uuid.uuid5(namespace, order.order_id)),
        "timestamp": order.given_at_ms,
        "actor": order.actor,
        "action": order.action,
        "subject": order.subject,
        "outcome": result.outcome.value,
        "details": _json(facts | dict(result.details)),
    }


def _json(details: Details) -> str:
    return json.dumps(details, separators=(",", ":"))
