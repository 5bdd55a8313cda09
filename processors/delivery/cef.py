"""ArcSight Common Event Format, version 0, of an alert.

Source: "ArcSight Common Event Format (CEF) Implementation Standard": the header's fields escape ``\\`` and ``|``, an
extension's values ``\\`` and ``=``; a line break is ``\\n`` or ``\\r`` in values and has no place in the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from processors.delivery.alert import Alert

_VENDOR, _PRODUCT = "ViWorkS", "ingest"
_SEVERITIES = {"info": 1, "low": 3, "medium": 5, "high": 8, "critical": 10}
_BLANKS = dict.fromkeys((*map(chr, range(0x20)), "\x7f", "\x85", "\u2028", "\u2029"), " ")
_IN_HEADER = {**_BLANKS, "\\": "\\\\", "|": "\\|"}
_IN_EXTENSION = {**_BLANKS, "\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"}
# Lengths by the standard's dictionary, in characters.
_NAME, _MSG, _CUSTOM, _SHORT = 512, 1023, 4000, 255
_SHORT_BYTES = 128
_LEAST_BYTES = 16


def message(alert: Alert, product_version: str, limit_bytes: int) -> str:
    """One line of up to ``limit_bytes`` (500 or more). Values keep to the dictionary's lengths; the last are cut first."""
    header = (
        "CEF:0",
        _VENDOR,
        _PRODUCT,
        _escaped(product_version, _IN_HEADER, _SHORT, _SHORT_BYTES),
        _escaped(alert.rule, _IN_HEADER, _SHORT, _SHORT_BYTES),
        _escaped(alert.summary, _IN_HEADER, _NAME, limit_bytes // 4),
        str(_SEVERITIES[alert.severity]),
    )
    line = f"{'|'.join(header)}|externalId={alert.alert_id}"
    for key, text, most in _extension(alert):
        rest_bytes = limit_bytes - len(line.encode()) - len(f" {key}=")
        if text and rest_bytes >= _LEAST_BYTES:
            line += f" {key}={_escaped(text, _IN_EXTENSION, most, rest_bytes)}"
    return line


def _extension(alert: Alert) -> list[tuple[str, str, int]]:
    """Key, value and length in characters, in the order of their importance."""
    return [
        ("act", alert.status, _SHORT),
        ("rt", str(alert.timestamp), _SHORT),
        ("duid", alert.client_id, _SHORT),
        ("suser", alert.actor or "", _SHORT),
        _custom(1, "node_id", alert.node_id or ""),
        ("msg", alert.summary, _MSG),
        ("cat", alert.rule, _SHORT),
        _custom(2, "group", _json(alert.group)),
        _custom(3, "evidence", _json(alert.evidence)),
    ]


def _custom(number: int, label: str, text: str) -> tuple[str, str, int]:
    """A custom string behind its label, which is of no use without it."""
    return (f"cs{number}Label={label} cs{number}", text, _CUSTOM)


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) if content else ""


def _escaped(text: str, escapes: Mapping[str, str], most: int, most_bytes: int) -> str:
    """At most so many characters and, escaped and in UTF-8, bytes; no escape and no character is cut in two."""
    parts, left_bytes = [], most_bytes
    for character in text[:most]:
        part = escapes.get(character, character).encode("utf-8", "replace")  # JSON may carry lone surrogates
        left_bytes -= len(part)
        if left_bytes < 0:
            break
        parts.append(part)
    return b"".join(parts).decode()
