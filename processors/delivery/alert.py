"""An alert as the receivers' formats need it, read from a record that somebody else may have written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas import codec
from schemas.errors import CodecError

FIRING, ACKNOWLEDGED, RESOLVED = "firing", "acknowledged", "resolved"
STATUSES = (FIRING, ACKNOWLEDGED, RESOLVED)
SUPPRESSED = "suppressed"
"""Stands in for firing while nobody is to be told."""
SEVERITIES = ("info", "low", "medium", "high", "critical")

# The id goes into a header and into signed content, where a line break or a full stop would have a meaning of its own.
_ALERT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999, the last that RFC 3339 can write


class Alert(NamedTuple):
    """A record of the schema ``alert``; ``evidence`` and ``group`` are objects, times are in ms."""

    alert_id: str
    rule: str
    severity: str
    status: str
    client_id: str
    timestamp: int
    summary: str
    evidence: Mapping[str, Any]
    emitted_at: int
    node_id: str | None = None
    group: Mapping[str, Any] = {}
    suppressed_by: str | None = None
    actor: str | None = None

    @property
    def kept_back(self) -> bool:
        """Whether nobody is to be told of this record."""
        return self.status == SUPPRESSED or bool(self.suppressed_by)

    @property
    def delivery_id(self) -> str:
        """The same for every attempt; also the CloudEvents id of the record."""
        return f"{self.alert_id}.{self.status}"


def read_alert(value: bytes | None) -> Alert:
    """The alert of a Kafka record. Raises CodecError for all that is none."""
    record = codec.decode_as("alert", value)
    if not _ALERT_ID.fullmatch(record["alert_id"]):
        raise CodecError("the alert_id has other characters than letters, digits, _ and -")
    if record["status"] not in (*STATUSES, SUPPRESSED) or record["severity"] not in SEVERITIES:
        raise CodecError("the status or the severity is none that there is")
    if not all(0 <= record[name] <= _LATEST_MS for name in ("timestamp", "emitted_at")):
        raise CodecError("a time is outside what can be written")
    return Alert(**{**record, "evidence": _object(record["evidence"]), "group": _object(record["group"])})


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise CodecError("the evidence or the group is not JSON") from None
    if not isinstance(found, dict):
        raise CodecError("the evidence or the group is not an object")
    return found


def _no_number(text: str) -> None:
    """NaN and Infinity are no JSON; receivers would refuse them."""
    raise ValueError(text)
