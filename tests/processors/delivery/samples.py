"""Alerts as the processors write them, and hostile values."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from aiokafka import AIOKafkaProducer

from processors.delivery.alert import Alert, read_alert
from schemas import codec
from schemas.topics import ALERTS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the specification's own example

HOSTILE = (
    "line\nbreak\r\nand\ttab",
    "pipe | and \\ backslash \\| = equals",
    '] closes "] a=b [x y="z"]',
    "nul \x00 escape \x1b[31m bell \x07 delete \x7f",
    "Grüße 日本語 🚨 \u202eright-to-left\u2028separator",
    "<14>1 2026-01-01T00:00:00Z forged - - - CEF:0|a|b|1|c|d|10|",
    "a" * 65_536,
    "\\" * 65_536,
    "=🚨" * 20_000,
)


def record(**changes: Any) -> dict[str, Any]:
    """An ``alert`` record; evidence and group may be given as objects."""
    now_ms = time.time_ns() // 1_000_000
    values: dict[str, Any] = {
        "alert_id": str(uuid.uuid4()),
        "rule": "offline",
        "severity": "high",
        "status": "firing",
        "client_id": f"client-{uuid.uuid4().hex[:8]}",
        "timestamp": now_ms,
        "summary": "silent since 92 s",
        "evidence": {"last_heartbeat": now_ms - 92_000, "deadline": now_ms - 10},
        "emitted_at": now_ms,
        "node_id": "node-7",
        "group": {"client_id": "c"},
        "suppressed_by": None,
        "actor": None,
        **changes,
    }
    texts = {name: json.dumps(values[name]) for name in ("evidence", "group") if not isinstance(values[name], str)}
    return {**values, **texts}


def alert(**changes: Any) -> Alert:
    return read_alert(codec.encode("alert", record(**changes)))


async def write(producer: AIOKafkaProducer, row: dict[str, Any], **more: Any) -> None:
    await producer.send_and_wait(ALERTS.name, codec.encode("alert", row), key=row["client_id"].encode(), **more)
