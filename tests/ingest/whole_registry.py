"""A registry double that gives every verdict that there is, by the request's timestamp."""

from __future__ import annotations

from typing import Any

from tests.ingest.conftest import RegistryDouble

_ACCEPTED = ("accepted", "renewed")
_OUTCOMES = {
    "registration": ("conflict", "replayed", "revoked", "enrolment_required", "pending", "refused", "unheard-of"),
    "enrolment_claim": ("enrolment_refused", "refused"),
    "key_rotation": ("conflict", "replayed", "revoked", "unknown", "refused"),
    "certificate_request": ("conflict", "replayed", "revoked", "unknown", "refused"),
}
_NO_VERDICT = 97


class WholeRegistry(RegistryDouble):
    """Accepts every other request, and leaves a few without a verdict."""

    def decide(self, schema: str, request: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        number: int = request["timestamp"]
        if number % _NO_VERDICT == 0:
            return None
        outcomes = _OUTCOMES[schema]
        refused = outcomes[number // 2 % len(outcomes)]
        return (_ACCEPTED[number // 2 % 2] if number % 2 else refused), _details(number)


def _details(now_ms: int) -> dict[str, Any]:
    return {
        "capabilities": ["vpn"],
        "node_id": None,
        "labels": ["generated"],
        "key_since": now_ms,
        "old_key_until": now_ms,
        "thumbprint": "A" * 43,
        "certificate": "-----BEGIN CERTIFICATE-----",
    }
