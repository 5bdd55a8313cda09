"""Signs of tampering as security events: the server itself reports what a client would not (DESIGN §2).

A refusal is counted in any case (``rejections``). Some of them are evidence of an attack on a client's identity; these
become events of the origin ``edge``, which nobody signed. One event a client, reason and minute, and so many a second at
most, so that an attacker can flood neither the topic nor the analysts.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any, NamedTuple

from ingest.clock import Clock
from ingest.errors import BrokerUnavailable
from ingest.metrics import TAMPER_EVENTS
from ingest.producer import BatchingProducer, partition_for
from ingest.rejections import Rejection
from schemas import codec
from schemas.sealing import Place, SealingKey
from schemas.topics import EVENTS

log = logging.getLogger(__name__)

WINDOW_MS = 60_000
MAX_PER_SECOND = 20
_MAX_KEYS = 10_000
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:viworks:event:tampering")

SEVERITIES = {
    "bad-signature": "medium",
    "identity-mismatch": "medium",
    "registration-replayed": "low",
    "request-replayed": "low",
    "identity-conflict": "high",
    "key-superseded": "high",
    "enrolment-token-refused": "medium",
}
"""Which refusals are signs, and how grave each is for a client whose API key was accepted or whose id was claimed."""


class _Window(NamedTuple):
    number: int
    spent: set[tuple[str, str]]


class TamperSignals:
    """Turns refusals into events; see the module's text."""

    def __init__(self, producer: BatchingProducer, sealing_key: SealingKey, edge: str, clock: Clock) -> None:
        self._producer = producer
        self._sealing_key = sealing_key
        self._edge = edge
        self._clock = clock
        self._window = _Window(-1, set())
        self._second = (-1, 0)

    def observe(self, rejection: Rejection) -> None:
        """Write an event where the refusal is a sign that is new in this minute. Never raises, never waits."""
        severity = SEVERITIES.get(rejection.reason)
        if severity is None or not rejection.client_id:
            return
        now_ms = self._clock()
        if not self._is_new(rejection, now_ms):
            return
        if not self._may_write(now_ms):
            TAMPER_EVENTS.labels(rejection.reason, "suppressed").inc()
            return
        self._write(event_record(rejection, severity, self._sealing_key, self._edge, now_ms))
        TAMPER_EVENTS.labels(rejection.reason, "written").inc()

    def _is_new(self, rejection: Rejection, now_ms: int) -> bool:
        number = now_ms // WINDOW_MS
        if number != self._window.number:
            self._window = _Window(number, set())
        key = (rejection.client_id, rejection.reason)
        spent = self._window.spent
        if key in spent or len(spent) >= _MAX_KEYS:
            return False
        spent.add(key)
        return True

    def _may_write(self, now_ms: int) -> bool:
        second, count = self._second
        count = count + 1 if second == now_ms // 1000 else 1
        self._second = (now_ms // 1000, count)
        return count <= MAX_PER_SECOND

    def _write(self, record: dict[str, Any]) -> None:
        key = record["client_id"].encode()
        try:
            self._producer.enqueue(EVENTS, partition_for(key, EVENTS.partitions), key, codec.encode("event", record))
        except BrokerUnavailable:
            log.warning("a sign of tampering was not stored; its refusal stays counted")


def event_record(rejection: Rejection, severity: str, sealing_key: SealingKey, edge: str, now_ms: int) -> dict[str, Any]:
    """The event of a refusal. The same client, reason and minute have the same ``event_id`` on every edge."""
    client_id, window = rejection.client_id, now_ms // WINDOW_MS
    event_id = str(uuid.uuid5(_IDS, f"{client_id}/{rejection.reason}/{window}"))
    known = "its API key was accepted" if rejection.authenticated else "its id was claimed without an API key"
    description = f"{rejection.reason} at {rejection.endpoint}; {known}"
    return {
        "client_id": client_id,
        "event_id": event_id,
        "event_type": "suspicious_activity",
        "severity": severity,
        "timestamp": window * WINDOW_MS,
        "description": sealing_key.seal(description.encode(), Place(client_id, "event.description", event_id)),
        "source_ip": None,
        "source_ip_pseudonym": None,
        "target_ip": None,
        "target_ip_pseudonym": None,
        "user_agent": None,
        "error_code": rejection.reason,
        "key_id": "",
        "signature": b"",
        "signed_bytes": b"",
        "signed_bytes_sealed": False,
        "received_at": now_ms,
        "edge": edge,
        "origin": "edge",
    }
