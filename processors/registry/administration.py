"""Commands on clients: approve, revoke, reinstate, end all API keys, allow another key, erase."""

from __future__ import annotations

import json
from typing import Any

from processors.registry.certificates import MAX_SERIALS
from processors.registry.client_keys import revocation_row
from processors.registry.decision import Decision, Outcome, Record, Row, States, audit, verdict
from schemas.commands import EVERYBODY


def approve(clients: States, command: Record, now_ms: int) -> Decision:
    """``client.approve``: a pending client becomes active with the key that it registered (argument ``key_id``)."""
    state, arguments = clients.get(command["subject"]), json.loads(command["body"])
    if state is None or state["status"] != "pending":
        return _refused(command, now_ms, "no client of this id waits for approval")
    if arguments.get("key_id") not in (None, state["key_id"]):
        return _refused(command, now_ms, "the client that waits has another key")
    return _done(command, now_ms, {**state, "status": "active"}, key_id=state["key_id"])


def revoke(clients: States, command: Record, now_ms: int) -> Decision:
    """``client.revoke``: its API keys and certificates end at once, and it cannot register until it is reinstated."""
    state = clients.get(command["subject"])
    if state is None:
        return _refused(command, now_ms, "there is no such client")
    serials = [*state["revoked_serials"], *state["certificate_serials"]][-MAX_SERIALS:]
    after = {
        **state,
        "status": "revoked",
        "key_epoch": state["key_epoch"] + 1,
        "certificate_serials": [],
        "revoked_serials": serials,
    }
    return _done(command, now_ms, after, _revocation(after, command), certificate_serials=serials)


def reinstate(clients: States, command: Record, now_ms: int) -> Decision:
    """``client.reinstate``: a revoked client may register again, with the key that it had, and gets a new certificate."""
    state = clients.get(command["subject"])
    if state is None or state["status"] != "revoked":
        return _refused(command, now_ms, "no client of this id is revoked")
    return _done(command, now_ms, {**state, "status": "active"})


def revoke_keys(clients: States, command: Record, now_ms: int) -> Decision:
    """``client.revoke_keys``: its API keys end at once; it registers again by itself. For all clients: see ``EVERYBODY``."""
    if command["subject"] == EVERYBODY:
        return _revoke_all(command, now_ms)
    state = clients.get(command["subject"])
    if state is None:
        return _refused(command, now_ms, "there is no such client")
    after = {**state, "key_epoch": state["key_epoch"] + 1}
    return _done(command, now_ms, after, _revocation(after, command))


def allow_key(clients: States, command: Record, now_ms: int) -> Decision:
    """``client.allow_key``: the key of the id ``key_id`` may take the client over by a registration."""
    state, arguments = clients.get(command["subject"]), json.loads(command["body"])
    if state is None:
        return _refused(command, now_ms, "there is no such client")
    after = {**state, "allowed_key_id": arguments["key_id"]}
    return _done(command, now_ms, after, key_id=arguments["key_id"])


def erase(clients: States, command: Record, now_ms: int) -> Decision:
    """``client.erase``: its API keys and certificates end at once, and nothing else is kept of it. An unknown one, too.

    An order may come again after its first half was written, so what it writes does not depend on what is known.
    """
    state = clients.get(command["subject"]) or {"certificate_serials": (), "revoked_serials": ()}
    serials = [*state["revoked_serials"], *state["certificate_serials"]][-MAX_SERIALS:]
    nobody = {"client_id": command["subject"], "key_epoch": 0, "revoked_serials": serials}
    # Tokens name the second in which they were made. Whoever registers under the id later is a new client.
    row = _revocation(nobody, command, issued_before=command["received_at"] + 1_000)
    answer = verdict(command, str(command["subject"]), Outcome.ACCEPTED, now_ms)
    return Decision(answer, None, (row, _audited(command)), forgotten=True)


def _revoke_all(command: Record, now_ms: int) -> Decision:
    before_ms = json.loads(command["body"])["issued_before"]
    everybody = {"client_id": EVERYBODY, "key_epoch": 0, "revoked_serials": []}
    row = _revocation(everybody, command, issued_before=before_ms)
    answer = verdict(command, EVERYBODY, Outcome.ACCEPTED, now_ms)
    return Decision(answer, None, (row, _audited(command, issued_before=before_ms)))


def _revocation(client: dict[str, Any], command: Record, **changes: Any) -> Row:
    reason = str(json.loads(command["body"]).get("reason", ""))
    return revocation_row(client, reason, str(command["actor"]), timestamp=command["received_at"], **changes)


def _done(command: Record, now_ms: int, state: dict[str, Any], *rows: Row, **details: Any) -> Decision:
    answer = verdict(command, str(command["subject"]), Outcome.ACCEPTED, now_ms, key_epoch=state["key_epoch"])
    return Decision(answer, state, (*rows, _audited(command, **details)))


def _refused(command: Record, now_ms: int, reason: str) -> Decision:
    return Decision(verdict(command, str(command["subject"]), Outcome.REFUSED, now_ms, reason=reason))


def _audited(command: Record, **details: Any) -> Row:
    reason = json.loads(command["body"]).get("reason", "")
    subject, actor = str(command["subject"]), str(command["actor"])
    return audit(command, str(command["action"]), subject, actor, Outcome.ACCEPTED, reason=reason, **details)
