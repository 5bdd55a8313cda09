"""TLS certificates of clients: who may get one, and what becomes of it once the authority has signed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from processors.registry.decision import Decision, Outcome, Record, States, audit, verdict

MAX_SERIALS = 16


class Issued(NamedTuple):
    """A signed certificate: PEM with its chain, its serial number in hexadecimal, its SHA-256 (RFC 8705)."""

    pem: str
    serial: str
    thumbprint: str


def decide(clients: States, request: Record, now_ms: int) -> Decision:
    """Decide on a ``certificate_request`` record of a client that is known by its key."""
    client_id = str(request["client_id"])
    state = clients.get(client_id)
    outcome = _outcome(state, request)
    client = None
    if state and outcome is Outcome.ACCEPTED:
        client = {**state, "request_id": request["request_id"], "timestamp": max(state["timestamp"], request["timestamp"])}
    answer = verdict(request, client_id, outcome, now_ms, **_facts(client or state))
    rows = (audit(request, "client.certificate", client_id, client_id, outcome, key_id=request["key_id"]),)
    return Decision(answer, client, rows, request["csr"] if client else None)


def with_certificate(decision: Decision, issued: Issued, state: Record | None) -> Decision:
    """The decision once the certificate is there: the verdict carries it, the client's record names its serial number."""
    details = json.loads(decision.verdict["details"]) | {"certificate": issued.pem, "thumbprint": issued.thumbprint}
    answer = decision.verdict | {"details": json.dumps(details, separators=(",", ":"))}
    client = decision.state or (dict(state) if state else None)
    if client is None:
        return decision._replace(verdict=answer)
    serials = [*client["certificate_serials"], issued.serial][-MAX_SERIALS:]
    return decision._replace(verdict=answer, state=client | {"certificate_serials": serials})


def without_certificate(decision: Decision) -> Decision:
    """The decision where the authority did not sign: nothing changes, and the edge asks the client to come again."""
    answer = decision.verdict | {"outcome": Outcome.REFUSED.value}
    return Decision(answer)


def _outcome(state: Record | None, request: Record) -> Outcome:
    if state is None:
        return Outcome.UNKNOWN
    if state["status"] != "active":
        return Outcome.REVOKED
    if state["key_id"] != request["key_id"]:
        return Outcome.CONFLICT
    return Outcome.ACCEPTED if request["timestamp"] > state["timestamp"] else Outcome.REPLAYED


def _facts(client: Record | None) -> dict[str, Any]:
    if client is None:
        return {}
    return {name: client[name] for name in ("key_epoch", "key_since", "labels", "capabilities", "node_id")}
