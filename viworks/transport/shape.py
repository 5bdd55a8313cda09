"""Against traffic analysis: requests of a few sizes, at moments that do not follow what happened on the device.

The filling is a header field, so that the signed bytes stay as they are and nothing of it is stored; of a batch, whose lines
are signed each by itself, also empty lines at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

FIELD = "X-Padding"
SMALLEST_BYTES = 2048
# The edge takes heads of up to 16 KiB; what is larger than a step grows by steps.
STEP_BYTES = 8192
BATCH_MEDIA_TYPE = "application/x-ndjson"
_MOST_BATCH_BYTES = 2 * 1024 * 1024
_OVERHEAD = len(FIELD) + len(": \r\n")

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TrafficShape:
    """What a transport does to its requests.

    Attributes:
        padded: whether they are filled up to 2, 4 or 8 KiB or a multiple of 8 KiB, batches to a power of two; head included.
        jitter_ms: each waits for a random time up to this. A tenth of the heartbeat interval does no harm.
    """

    padded: bool = True
    jitter_ms: int = 0

    def delay_s(self, fraction: Callable[[], float]) -> float:
        """How long to wait before a request."""
        return self.jitter_ms * fraction() / 1000


def request_bytes(method: str, target: str, fields: Fields, body: bytes | None) -> int:
    """How long a request is on the wire, before TLS (RFC 9112, section 3)."""
    line = len(method) + len(target) + len("  HTTP/1.1\r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in fields) + len("\r\n") + len(body or b"")


def with_length(headers: Mapping[str, str], body: bytes | None) -> Fields:
    """All header fields of a request."""
    return [*headers.items(), *([] if body is None else [("Content-Length", str(len(body)))])]


def padded(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> tuple[Fields, bytes | None]:
    """Fill a request up. ``headers`` are all but Content-Length, which is added as the body needs it."""
    if body is not None and headers.get("Content-Type") == BATCH_MEDIA_TYPE:
        body += b"\n" * _missing_lines(with_length(headers, body), method, target, body)
    fields = with_length(headers, body)
    bare = request_bytes(method, target, fields, body) + _OVERHEAD
    return [*fields, (FIELD, "0" * (_size_for(bare) - bare))], body


def _missing_lines(fields: Fields, method: str, target: str, body: bytes) -> int:
    """Empty lines up to a step below the next power of two; the header field fills the rest to the byte."""
    bare = request_bytes(method, target, fields, body) + _OVERHEAD
    missing = (1 << (bare - 1).bit_length()) - bare - STEP_BYTES // 2
    return max(0, min(missing, _MOST_BATCH_BYTES - len(body)))


def _size_for(size: int) -> int:
    if size > STEP_BYTES:
        return -(-size // STEP_BYTES) * STEP_BYTES
    return max(SMALLEST_BYTES, 1 << (size - 1).bit_length())
