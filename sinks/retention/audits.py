"""What the audit says of retention. Pure, but for the file that says how far it has said it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sinks.retention.entries import Entry, Reason, Step

ACTOR = "retention"
DROP, RUN, OVERDUE = "retention_drop", "retention_run", "retention_overdue"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:viworks:audit:retention")


def record_of(entry: Entry) -> dict[str, Any] | None:
    """The ``audit`` record of an entry, the same whenever it is made; None of an intent. Unexplained losses have failed."""
    about = entry.dropped
    if entry.step is Step.INTENT:
        return None
    failed = entry.step is Step.FAILED or about.reason is Reason.UNEXPLAINED
    details = {
        "sequence": entry.sequence,
        "reason": about.reason.value,
        "partition": about.partition,
        "parts": len(about.parts),
        "rows": about.rows,
        "bytes": about.bytes,
        "oldest": about.times.first if about.times else None,
        "newest": about.times.last if about.times else None,
        "cause": about.cause,
        "fault": entry.fault,
    }
    return _record(DROP, about.table, entry.time_ms, "failed" if failed else "done", details, f"{entry.sequence}")


def failure(action: str, subject: str, now_ms: int, details: Mapping[str, Any]) -> dict[str, Any]:
    """The ``audit`` record of what did not go as it must; the rule ``retention_failed`` waits for it."""
    return _record(action, subject, now_ms, "failed", details, "")


def audited(path: Path) -> int:
    """How many entries the audit has; 0 where that is not known: a record that comes twice is chained once."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def note_audited(path: Path, entries: int) -> None:
    """Return once the disk has it. Raises OSError."""
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write(str(entries))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _record(action: str, subject: str, now_ms: int, outcome: str, details: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "audit_id": str(uuid.uuid5(_NAMESPACE, f"{action}:{subject}:{now_ms}:{name}")),
        "timestamp": now_ms,
        "actor": ACTOR,
        "action": action,
        "subject": subject,
        "outcome": outcome,
        "details": json.dumps(details, separators=(",", ":")),
    }
