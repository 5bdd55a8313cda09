"""What a request's head must be before anybody looks at its path (RFC 9112), beyond what the parser checks itself."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.errors import ExpectationFailed, HeaderTooLarge, MalformedHttp, UnsupportedCoding, UnsupportedVersion
from ingest.forwarded import HEADERS as FORWARDED

MAX_HEAD_BYTES = 16 * 1024
MAX_FIELDS = 64
# The fields that are looked at here. The parser has refused faulty and contradicting lengths by then.
SPECIAL = frozenset({b"host", b"expect", b"transfer-encoding", b"upgrade"}) | FORWARDED

Fields = Sequence[tuple[bytes, bytes]]


def check_head(version: str, field_count: int, special: Fields) -> None:
    """Check a head's version, number of fields and special fields.

    Raises:
        UnsupportedVersion, HeaderTooLarge, MalformedHttp, UnsupportedCoding, ExpectationFailed.
    """
    if field_count > MAX_FIELDS:
        raise HeaderTooLarge(f"a request has at most {MAX_FIELDS} header fields")
    if version not in ("1.0", "1.1"):
        raise UnsupportedVersion
    hosts = sum(name == b"host" for name, _ in special)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise MalformedHttp("a request names one Host", "Host")
    _check_codings(version, special)
    _check_expectations(version, special)


def _check_codings(version: str, special: Fields) -> None:
    codings = [value.lower() for name, value in special if name == b"transfer-encoding"]
    if codings and version == "1.0":
        raise MalformedHttp("HTTP/1.0 has no transfer codings", "Transfer-Encoding")
    if codings and codings != [b"chunked"]:
        raise UnsupportedCoding("", "Transfer-Encoding")


def _check_expectations(version: str, special: Fields) -> None:
    # RFC 9110, 10.1.1: in HTTP/1.0 it is ignored.
    expected = [value.lower() for name, value in special if name == b"expect"]
    if version == "1.1" and any(value != b"100-continue" for value in expected):
        raise ExpectationFailed("", "Expect")


def check_upgrade(fields: Fields, special: Fields) -> None:
    """Raises MalformedHttp where an upgrade comes with a body: the parser would take the body for the next request."""
    offered = any(name == b"upgrade" for name, _ in special)
    if offered and any(name in (b"content-length", b"transfer-encoding") for name, _ in fields):
        raise MalformedHttp("an upgrade cannot be offered with a body", "Upgrade")


def check_head_size(target: bytes, fields: Fields) -> None:
    """Of a head that came in pieces. Raises HeaderTooLarge."""
    if len(target) + sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD_BYTES:
        raise HeaderTooLarge(f"a head has at most {MAX_HEAD_BYTES} bytes")


def expects_continue(version: str, special: Fields) -> bool:
    """Whether the client waits for a 100 before it sends the body."""
    return version == "1.1" and any(name == b"expect" for name, _ in special)
