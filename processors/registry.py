"""The registry's decision on a registration. Pure: one owner per client id calls it, in the order of the partition."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

Record = Mapping[str, Any]

_AUDIT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:viworks:audit:client.register")

_FROM_REQUEST = (
    "client_id", "public_key", "key_id", "capabilities", "version", "node_id", "device_info", "timestamp",
    "request_id", "signature", "signed_bytes", "signed_bytes_sealed", "received_at", "edge",
)  # fmt: skip


class Outcome(StrEnum):
    """What a verdict says."""

    ACCEPTED = "accepted"
    RENEWED = "renewed"
    REPLAYED = "replayed"
    CONFLICT = "conflict"


class Decision(NamedTuple):
    """``verdict`` and ``audit`` records, and the ``client`` record where the client's state changes."""

    verdict: dict[str, Any]
    client: dict[str, Any] | None
    audit: dict[str, Any]


def decide(state: Record | None, request: Record, now_ms: int) -> Decision:
    """Decide on a ``registration`` record, given the client's record or None.

    A redelivered request gets its verdict again and changes nothing. Verdicts are stamped with ``now_ms``.
    """
    outcome = _outcome(state, request)
    client = _new_state(state, request, outcome)
    epoch = int((client or state or {"key_epoch": 1})["key_epoch"])
    return Decision(_verdict(request, outcome, epoch, now_ms), client, _audit(request, outcome, epoch))


def _outcome(state: Record | None, request: Record) -> Outcome:
    if state is None:
        return Outcome.ACCEPTED
    if state["request_id"] == request["request_id"]:
        return Outcome.ACCEPTED if state["registered_at"] == state["received_at"] else Outcome.RENEWED
    if state["public_key"] != request["public_key"]:
        return Outcome.CONFLICT
    # A registration's signature is good once (DESIGN §2): a second request must be a newer one.
    return Outcome.RENEWED if request["timestamp"] > state["timestamp"] else Outcome.REPLAYED


def _new_state(state: Record | None, request: Record, outcome: Outcome) -> dict[str, Any] | None:
    if outcome not in (Outcome.ACCEPTED, Outcome.RENEWED) or (state and state["request_id"] == request["request_id"]):
        return None
    client = {name: request[name] for name in _FROM_REQUEST}
    client["key_epoch"] = state["key_epoch"] if state else 1
    client["registered_at"] = state["registered_at"] if state else request["received_at"]
    return client


def _verdict(request: Record, outcome: Outcome, epoch: int, now_ms: int) -> dict[str, Any]:
    return {
        "request_id": request["request_id"],
        "client_id": request["client_id"],
        "edge": request["edge"],
        "outcome": outcome.value,
        "key_epoch": epoch,
        "timestamp": now_ms,
    }


def _audit(request: Record, outcome: Outcome, epoch: int) -> dict[str, Any]:
    details = {
        "request_id": request["request_id"],
        "key_id": request["key_id"],
        "key_epoch": epoch,
        "client_timestamp": request["timestamp"],
        "edge": request["edge"],
    }
    return {
        "audit_id": str(uuid.uuid5(_AUDIT_IDS, request["request_id"])),
        "timestamp": request["received_at"],
        "actor": request["client_id"],
        "action": "client.register",
        "subject": request["client_id"],
        "outcome": outcome.value,
        "details": json.dumps(details, separators=(",", ":")),
    }
