"""Syslog messages (RFC 5424) and how they are framed on a stream (RFC 5425 and RFC 6587, octet counting)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

APP_NAME = "viworks"
_FACILITY = 4  # security and authorization messages
_SEVERITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}
_BOM = b"\xef\xbb\xbf"
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SD_SPECIAL = re.compile(r'(["\\\]])')


def message(severity: str, timestamp_ms: int, hostname: str, message_id: str, text: str, version: str) -> bytes:
    """One message, ``text`` as its MSG in UTF-8. The only structured data is the registered element ``origin``."""
    priority = _FACILITY * 8 + _SEVERITIES[severity]
    time = datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    origin = f'[origin software="ViWorkS ingest" swVersion="{sd_value(version)}"]'
    head = f"<{priority}>1 {time} {_name(hostname, 255)} {APP_NAME} - {_name(message_id, 32)} {origin} "
    return head.encode() + _BOM + text.encode()


def framed(one: bytes) -> bytes:
    """With its length in front: a line break inside does not end it."""
    return b"%d %s" % (len(one), one)


def sd_value(text: str) -> str:
    """A parameter's value of structured data (RFC 5424, 6.3.3)."""
    return _SD_SPECIAL.sub(r"\\\1", _CONTROL.sub("_", text))


def _name(text: str, most: int) -> str:
    """A header field: printable ASCII without spaces, ``-`` where nothing is left."""
    return _NOT_PRINTABLE.sub("_", text)[:most] or "-"
