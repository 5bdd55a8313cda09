"""Registrations: who gets a client id, and when the same client gets an API key again."""

from __future__ import annotations

from typing import Any

from processors.registry.client_keys import history_row, revocation_row
from processors.registry.decision import Decision, Outcome, Record, Row, States, audit, verdict

ACTIVE, PENDING, REVOKED = "active", "pending", "revoked"
OPEN, CERTIFICATE, APPROVE, TOKEN_PREFIX = "open", "certificate", "approve", "token:"

_FROM_REQUEST = (
    "client_id", "public_key", "key_id", "capabilities", "version", "node_id", "device_info", "timestamp",
    "request_id", "signature", "signed_bytes", "signed_bytes_sealed", "received_at", "edge",
)  # fmt: skip
_SETTLED = (Outcome.ACCEPTED, Outcome.RENEWED, Outcome.PENDING)


def decide(clients: States, request: Record, now_ms: int) -> Decision:
    """Decide on a ``registration`` record.

    A redelivered request gets its verdict again and changes nothing. Verdicts are stamped with ``now_ms``.
    """
    state = clients.get(request["client_id"])
    outcome = _outcome(state, request)
    client = _new_state(state, request, outcome)
    client_id = str(request["client_id"])
    answer = verdict(request, client_id, outcome, now_ms, **_facts(client or state))
    rows = (audit(request, "client.register", client_id, client_id, outcome, **_audited(request, client or state)),)
    csr = request["csr"] if outcome in (Outcome.ACCEPTED, Outcome.RENEWED) else None
    return Decision(answer, client, rows + _key_rows(state, client), csr)


def _outcome(state: Record | None, request: Record) -> Outcome:
    if state is None:
        return _enrolled(request)
    if state["request_id"] == request["request_id"]:
        return _again(state)
    if state["status"] == REVOKED:
        return Outcome.REVOKED
    if state["public_key"] != request["public_key"] and state["allowed_key_id"] != request["key_id"]:
        return Outcome.CONFLICT
    # A registration's signature is good once (DESIGN §2): a second request must be a newer one.
    if state["public_key"] == request["public_key"] and request["timestamp"] <= state["timestamp"]:
        return Outcome.REPLAYED
    return _enrolled(request) if state["status"] == PENDING else Outcome.RENEWED


def _enrolled(request: Record) -> Outcome:
    enrolment = str(request["enrolment"])
    if enrolment in (OPEN, CERTIFICATE) or enrolment.startswith(TOKEN_PREFIX):
        return Outcome.ACCEPTED
    return Outcome.PENDING if enrolment == APPROVE else Outcome.ENROLMENT_REQUIRED


def _again(state: Record) -> Outcome:
    if state["status"] == PENDING:
        return Outcome.PENDING
    return Outcome.ACCEPTED if state["registered_at"] == state["received_at"] else Outcome.RENEWED


def _new_state(state: Record | None, request: Record, outcome: Outcome) -> dict[str, Any] | None:
    if outcome not in _SETTLED or (state and state["request_id"] == request["request_id"]):
        return None
    new_key = state is None or state["public_key"] != request["public_key"]
    return {
        **{name: request[name] for name in _FROM_REQUEST},
        "key_epoch": (state["key_epoch"] if state else 0) + (1 if new_key else 0),
        "key_since": request["received_at"] if new_key or not state else state["key_since"],
        "registered_at": state["registered_at"] if state and state["status"] == ACTIVE else request["received_at"],
        "status": PENDING if outcome is Outcome.PENDING else ACTIVE,
        "labels": list(request["labels"] or (state["labels"] if state else ())),
        "allowed_key_id": "",
        "certificate_serials": list(state["certificate_serials"]) if state else [],
        "revoked_serials": list(state["revoked_serials"]) if state else [],
    }


def _key_rows(state: Record | None, client: dict[str, Any] | None) -> tuple[Row, ...]:
    """The history of keys, and the end of the former key's tokens where an administrator let another take over."""
    if client is None or (state and state["public_key"] == client["public_key"]):
        return ()
    history = history_row(client, "registration" if state is None else "administrator")
    if state is None:
        return (history,)
    return (history, revocation_row(client, "another key took over", "administrator", timestamp=client["received_at"]))


def _facts(client: Record | None) -> dict[str, Any]:
    """What the edge puts into the API key."""
    if client is None:
        return {}
    return {
        "key_epoch": client["key_epoch"],
        "key_since": client["key_since"],
        "labels": list(client["labels"]),
    }


def _audited(request: Record, client: Record | None) -> dict[str, Any]:
    return {
        "key_id": request["key_id"],
        "key_epoch": client["key_epoch"] if client else 0,
        "enrolment": request["enrolment"],
    }
