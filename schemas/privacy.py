"""Which members of the messages are sensitive, in one table, and how an address is made anonymous (DESIGN §2).

A sensitive value is sealed before it is written anywhere; of an address only its network and a keyed pseudonym are kept.
"""

from __future__ import annotations

import hashlib
import ipaddress
from enum import StrEnum

from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SENSITIVE: dict[type, tuple[str, ...]] = {
    ClientRegistration: (
        "device_info.os_type",
        "device_info.os_version",
        "device_info.device_id",
        "device_info.hardware_hash",
    ),
    Heartbeat: ("metrics.sealed",),
    SessionReport: ("metadata.internal_ip",),
    SecurityEvent: ("details.description",),
}
"""Message → the paths of its members that the server must never see in the clear."""

ADDRESSES: dict[type, tuple[str, ...]] = {
    SessionReport: ("metadata.client_ip",),
    SecurityEvent: ("details.source_ip", "details.target_ip"),
}
"""Message → the paths of its members that hold an address, kept only as a network and a pseudonym."""


class PrivacyMode(StrEnum):
    """``seal``: plaintext is sealed inside the edge. ``strict``: plaintext is refused."""

    SEAL = "seal"
    STRICT = "strict"


def truncate_address(address: str) -> str:
    """The network of an address: /24 for IPv4, /48 for IPv6; empty where the text is not an address.

    A 6to4 address (RFC 3056) holds a whole IPv4 address in its first 48 bits, of which the last eight are cut too.
    """
    parsed = _parse(address)
    if parsed is None:
        return ""
    return str(ipaddress.ip_network((parsed, _prefix(parsed)), strict=False).network_address)


def is_truncated(text: str) -> bool:
    """Whether the text says no more of an address than its network: exactly what ``truncate_address`` gives, or nothing."""
    return text == truncate_address(text)


def pseudonym(address: str, key: bytes) -> str:
    """A keyed pseudonym of an address, 32 hex digits: equal addresses in any spelling give equal pseudonyms.

    Args:
        key: 32 secret bytes; rotating it unlinks the past from the future.
    """
    parsed = _parse(address)
    text = parsed.exploded if parsed else address
    return hashlib.blake2b(text.encode(), key=key, digest_size=16, person=b"viworks-address").hexdigest()


def period_key(key: bytes, period: int) -> bytes:
    """The key of pseudonyms for one period, so that addresses can be joined within it and not beyond."""
    return hashlib.blake2b(period.to_bytes(8, "big"), key=key, digest_size=32, person=b"viworks-period").digest()


def _prefix(parsed: Address) -> int:
    if isinstance(parsed, ipaddress.IPv4Address):
        return 24
    return 48 if parsed.sixtofour is None else 16 + 24


def _parse(address: str) -> Address | None:
    """Without its zone (RFC 4007): that is a name of the client's own, and no part of the address elsewhere."""
    text, _, _ = address.strip().partition("%")
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
