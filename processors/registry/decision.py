"""What a decision of the registry is: a verdict for whoever asked, a new state, and rows for other topics."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from schemas.topics import AUDIT, Topic

Record = Mapping[str, Any]
States = Mapping[str, Record]
"""The records of one kind by their key."""


class Outcome(StrEnum):
    """What a verdict says."""

    ACCEPTED = "accepted"
    RENEWED = "renewed"
    PENDING = "pending"
    REPLAYED = "replayed"
    CONFLICT = "conflict"
    REVOKED = "revoked"
    ENROLMENT_REQUIRED = "enrolment_required"
    ENROLMENT_REFUSED = "enrolment_refused"
    UNKNOWN = "unknown"
    REFUSED = "refused"


class Row(NamedTuple):
    """A record for a topic of the contract."""

    topic: Topic
    record: dict[str, Any]


class Decision(NamedTuple):
    """``state`` is the subject's new record where it changes, ``csr`` a certificate request that is to be signed.

    ``forgotten``: nothing of the subject is kept, here and where else its client id is a key.
    """

    verdict: dict[str, Any]
    state: dict[str, Any] | None = None
    rows: tuple[Row, ...] = ()
    csr: str | None = None
    forgotten: bool = False


Decide = Callable[[States, Record, int], Decision]


def verdict(request: Record, subject: str, outcome: Outcome, now_ms: int, **details: Any) -> dict[str, Any]:
    """The verdict on a request. ``key_epoch`` among the details also fills the member of that name."""
    return {
        "request_id": request["request_id"],
        "client_id": subject,
        "edge": request["edge"],
        "outcome": outcome.value,
        "key_epoch": int(details.get("key_epoch", 0)),
        "timestamp": now_ms,
        "details": json.dumps(details, separators=(",", ":")),
    }


def audit(request: Record, action: str, subject: str, actor: str, outcome: Outcome, **details: Any) -> Row:
    """What must be answered for later. A redelivered request has the same ``audit_id``."""
    facts = {"request_id": request["request_id"], "client_timestamp": request["timestamp"], "edge": request["edge"]}
    record = {
        "audit_id": audit_id_of(action, request["request_id"]),
        "timestamp": request["received_at"],
        "actor": actor,
        "action": action,
        "subject": subject,
        "outcome": outcome.value,
        "details": json.dumps(facts | details, separators=(",", ":")),
    }
    return Row(AUDIT, record)


def audit_id_of(action: str, request_id: str) -> str:
    """The ``audit_id`` of the record that a request leads to."""
    return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:viworks:audit:{action}"), request_id))
