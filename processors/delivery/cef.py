"""ArcSight Common Event Format, version 0, of an alert.

Source: "ArcSight Common Event Format (CEF) Implementation Standard": the header's fields escape ``\\`` and ``|``, an
extension's values ``\\`` and ``=``; a line break is ``\\n`` or ``\\r`` in values and has no place in the header.
"""

from __future__ import annotations

import json
import re

from processors.delivery.alert import Alert

_VENDOR, _PRODUCT = "ViWorkS", "ingest"
_SEVERITIES = {"info": 1, "low": 3, "medium": 5, "high": 8, "critical": 10}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")
_LINE_BREAKS = re.compile(r"[\r\n\t]+")
# Lengths by the standard's dictionary, in characters.
_NAME, _MSG, _CUSTOM, _SHORT = 512, 1023, 4000, 255


def message(alert: Alert, product_version: str, limit_bytes: int) -> str:
    """One line. Values keep to the dictionary's lengths; beyond ``limit_bytes`` they are left out, evidence first."""
    header = "|".join(
        (
            "CEF:0",
            _VENDOR,
            _PRODUCT,
            _header_value(product_version, _SHORT),
            _header_value(alert.rule, _SHORT),
            _header_value(alert.summary, _NAME),
            str(_SEVERITIES[alert.severity]),
        )
    )
    line = f"{header}|externalId={alert.alert_id}"
    for key, text in _extension(alert):
        longer = f"{line} {key}={text}"
        if len(longer.encode()) > limit_bytes:
            break
        line = longer
    return line


def _extension(alert: Alert) -> list[tuple[str, str]]:
    """In the order of their importance."""
    evidence = json.dumps(alert.evidence, ensure_ascii=False, separators=(",", ":"))
    group = json.dumps(alert.group, ensure_ascii=False, separators=(",", ":")) if alert.group else ""
    members = [
        ("act", alert.status, _SHORT),
        ("rt", str(alert.timestamp), _SHORT),
        ("cat", alert.rule, _SHORT),
        ("duid", alert.client_id, _SHORT),
        ("suser", alert.actor or "", _SHORT),
        *_custom(1, "node_id", alert.node_id or ""),
        ("msg", alert.summary, _MSG),
        *_custom(2, "group", group),
        *_custom(3, "evidence", evidence),
    ]
    return [(key, _extension_value(text, most)) for key, text, most in members if text]


def _custom(number: int, label: str, text: str) -> list[tuple[str, str, int]]:
    """A custom string behind its label, which is of no use without it."""
    return [(f"cs{number}Label={label} cs{number}", text, _CUSTOM)]


def _header_value(text: str, most: int) -> str:
    plain = _CONTROL.sub(" ", _LINE_BREAKS.sub(" ", _encodable(text[:most])))
    return plain.replace("\\", "\\\\").replace("|", "\\|")


def _extension_value(text: str, most: int) -> str:
    plain = _CONTROL.sub(" ", _encodable(text[:most]))
    escaped = plain.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\r", "\\r").replace("\n", "\\n")


def _encodable(text: str) -> str:
    """Lone surrogates, which JSON may carry in escapes, have no UTF-8."""
    return text.encode("utf-8", "replace").decode()
