"""Enrolment tokens: made by an administrator, each for so many clients (or any number), until it expires.

The token's own partition owns it, so that two clients cannot have its last use at once.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from processors.registry.decision import Decision, Outcome, Record, Row, States, audit, verdict

ACTIVE, REVOKED = "active", "revoked"
UNLIMITED = 0
MAX_USES = 10_000


def claim(enrolments: States, request: Record, now_ms: int) -> Decision:
    """Decide on an ``enrolment_claim`` record. A client that has claimed the token may do so again with the same key."""
    token_id = str(request["token_id"])
    state = enrolments.get(token_id)
    name = _claimant(request)
    outcome = _outcome(state, request, name)
    after = None
    if state and state["uses"] != UNLIMITED and outcome is Outcome.ACCEPTED:
        after = {**state, "claims": [*state["claims"], name]}
    labels = list(state["labels"]) if state and outcome in (Outcome.ACCEPTED, Outcome.RENEWED) else []
    answer = verdict(request, str(request["client_id"]), outcome, now_ms, labels=labels)
    row = audit(request, "enrolment.claim", token_id, str(request["client_id"]), outcome, key_id=request["key_id"])
    return Decision(answer, after, (row,))


def _outcome(state: Record | None, request: Record, name: str) -> Outcome:
    if state is None or not hmac.compare_digest(state["secret_hash"], request["secret_hash"]):
        return Outcome.ENROLMENT_REFUSED
    if name in state["claims"]:
        return Outcome.RENEWED
    used_up = state["uses"] != UNLIMITED and len(state["claims"]) >= state["uses"]
    expired = request["received_at"] >= state["expires_at"]
    return Outcome.ENROLMENT_REFUSED if used_up or expired or state["status"] != ACTIVE else Outcome.ACCEPTED


def _claimant(request: Record) -> str:
    """A short name: a token's record holds all of them."""
    return hashlib.sha256(f"{request['client_id']}/{request['key_id']}".encode()).hexdigest()[:16]


def create(enrolments: States, command: Record, now_ms: int) -> Decision:
    """Decide on the command ``enrolment.create``: ``secret_hash`` (hex), ``uses``, ``expires_at``, ``labels``."""
    token_id, arguments = str(command["subject"]), json.loads(command["body"])
    row = _audited(command, "enrolment.create", uses=arguments["uses"], labels=arguments["labels"])
    if token_id in enrolments:
        return Decision(verdict(command, token_id, Outcome.RENEWED, now_ms))
    if not UNLIMITED <= arguments["uses"] <= MAX_USES or arguments["expires_at"] <= command["timestamp"]:
        return Decision(verdict(command, token_id, Outcome.REFUSED, now_ms, reason="uses or expires_at is out of range"))
    state = {
        "token_id": token_id,
        "secret_hash": bytes.fromhex(arguments["secret_hash"]),
        "uses": arguments["uses"],
        "claims": [],
        "labels": list(arguments["labels"]),
        "expires_at": arguments["expires_at"],
        "status": ACTIVE,
        "timestamp": command["timestamp"],
        "actor": command["actor"],
    }
    return Decision(verdict(command, token_id, Outcome.ACCEPTED, now_ms), state, (row,))


def revoke(enrolments: States, command: Record, now_ms: int) -> Decision:
    """Decide on the command ``enrolment.revoke``: nobody can claim the token any more."""
    token_id = str(command["subject"])
    state = enrolments.get(token_id)
    if state is None:
        return Decision(verdict(command, token_id, Outcome.UNKNOWN, now_ms, reason="there is no such enrolment token"))
    after = {**state, "status": REVOKED}
    return Decision(verdict(command, token_id, Outcome.ACCEPTED, now_ms), after, (_audited(command, "enrolment.revoke"),))


def _audited(command: Record, action: str, **details: object) -> Row:
    return audit(command, action, str(command["subject"]), str(command["actor"]), Outcome.ACCEPTED, **details)
