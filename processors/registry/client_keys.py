"""Keys of clients: their history, their rotation, and what ends the API keys of an older one."""

from __future__ import annotations

from typing import Any

from processors.registry.decision import Decision, Outcome, Record, Row, States, audit, verdict
from schemas.signing import key_id
from schemas.topics import CLIENT_KEYS, REVOCATIONS


def rotate(clients: States, request: Record, now_ms: int) -> Decision:
    """Decide on a ``key_rotation`` record: only the key in force can name its successor.

    The former key's API keys stay good for ``overlap_ms``, those of older keys end at once.
    """
    client_id = str(request["client_id"])
    state = clients.get(client_id)
    outcome = _outcome(state, request)
    client = _rotated(state, request) if state and outcome is Outcome.ACCEPTED else None
    rows = [audit(request, "client.rotate_key", client_id, client_id, outcome, key_id=request["key_id"])]
    in_force = client or state
    # Of a rotation that is asked for again the overlap began when it was decided.
    until = (in_force["key_since"] if in_force else request["received_at"]) + request["overlap_ms"]
    if state and client:
        rows.append(history_row(client, "rotation"))
        overlap = {"min_epoch": state["key_epoch"], "next_min_epoch": client["key_epoch"], "next_at": until}
        rows.append(revocation_row(client, "key rotation", client_id, timestamp=now_ms, **overlap))
    facts = _facts(in_force) | {"old_key_until": until}
    return Decision(verdict(request, client_id, outcome, now_ms, **facts), client, tuple(rows))


def _outcome(state: Record | None, request: Record) -> Outcome:
    if state is None:
        return Outcome.UNKNOWN
    if state["request_id"] == request["request_id"]:
        return Outcome.RENEWED
    if state["status"] != "active":
        return Outcome.REVOKED
    if state["public_key"] == request["public_key"]:
        # Signed by the former key, within its overlap, with a proof by the one in force that names the former: a client that
        # never got the answer asks again. The key in force cannot be its own successor.
        return Outcome.RENEWED if state["key_id"] != request["key_id"] else Outcome.CONFLICT
    if state["key_id"] != request["key_id"]:
        return Outcome.CONFLICT
    return Outcome.ACCEPTED if request["timestamp"] > state["timestamp"] else Outcome.REPLAYED


def _rotated(state: Record, request: Record) -> dict[str, Any]:
    return {
        **state,
        "public_key": request["public_key"],
        "key_id": key_id(request["public_key"]),
        "key_epoch": state["key_epoch"] + 1,
        "key_since": request["received_at"],
        "timestamp": request["timestamp"],
        "request_id": request["request_id"],
        "signature": request["signature"],
        "signed_bytes": request["signed_bytes"],
        "signed_bytes_sealed": request["signed_bytes_sealed"],
        "received_at": request["received_at"],
        "edge": request["edge"],
        "allowed_key_id": "",
    }


def _facts(client: Record | None) -> dict[str, Any]:
    if client is None:
        return {}
    return {name: client[name] for name in ("key_epoch", "key_since", "labels", "capabilities", "node_id")}


def history_row(client: Record, origin: str) -> Row:
    """The key that a client's record now has."""
    record = {
        "client_id": client["client_id"],
        "key_id": client["key_id"],
        "public_key": client["public_key"],
        "key_epoch": client["key_epoch"],
        "valid_from": client["key_since"],
        "origin": origin,
        "request_id": client["request_id"],
    }
    return Row(CLIENT_KEYS, record)


def revocation_row(client: Record, reason: str, actor: str, *, timestamp: int, **changes: Any) -> Row:
    """Ends the API keys of epochs before the client's own; ``changes`` are members of ``revocation``."""
    record = {
        "client_id": client["client_id"],
        "min_epoch": client["key_epoch"],
        "reason": reason,
        "timestamp": timestamp,
        "actor": actor,
        "next_min_epoch": 0,
        "next_at": 0,
        "issued_before": 0,
        "certificate_serials": list(client["revoked_serials"]),
    }
    return Row(REVOCATIONS, record | changes)
