"""Unique texts and addresses that are planted in messages and looked for afterwards, in every form that they could take."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.privacy import ADDRESSES, SENSITIVE, truncate_address

_STEM = 7
"""Characters of a canary's beginning: ``canary-``, ``198.18.``, ``2001:db``, or an API key's own."""


class Canaries:
    """What was planted, by a name that says where. Addresses are of ranges that nobody has (RFC 2544, RFC 3849)."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def text(self, where: str) -> str:
        """A text that stands nowhere else."""
        return self._plant(where, f"canary-{secrets.token_hex(8)}")

    def address(self, where: str) -> str:
        """An address whose network says nothing of it: IPv4 and IPv6 in turn, never the same twice."""
        number = len(self.planted) + 1
        if number % 2:
            return self._plant(where, f"198.18.{number % 256}.{100 + number % 150}")
        return self._plant(where, str(ipaddress.ip_address(f"2001:db8:{number:x}:{secrets.token_hex(2)}::{number:x}9")))

    def fill(self, kind: type, message: dict[str, Any], where: str) -> dict[str, Any]:
        """Plant one in every member that ``schemas/privacy.py`` names for the message, and in an unknown one."""
        for member in SENSITIVE.get(kind, ()):
            put(message, member, self.text(f"{where}: {member}"))
        for member in ADDRESSES.get(kind, ()):
            put(message, member, self.address(f"{where}: {member}"))
        message["unknown"] = {"signature": self.text(f"{where}: an unknown member")}
        return message

    def _plant(self, where: str, value: str) -> str:
        assert where not in self.planted
        assert truncate_address(value) != value
        self.planted[where] = value
        return value


def put(message: dict[str, Any], member: str, value: Any) -> None:
    """Set a member by its path, such as ``details.description``."""
    group, _, name = member.partition(".")
    message[group][name] = value


def forms(value: str) -> Iterator[bytes]:
    """A text as bytes, and as what loggers and writers make of bytes: hexadecimal, base64 at any offset, UTF-16, escapes."""
    raw = value.encode()
    yield from (raw, raw.upper(), value.encode("utf-16-le"), raw.hex().encode(), raw.hex().upper().encode())
    yield from (
        value.replace(".", "%2E").encode(),
        value.replace(":", "%3A").encode(),
        value.replace(":", "\\u003a").encode(),
    )
    for offset in range(3):
        # The first and the last characters depend on the neighbours.
        encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=")[4 if offset else 0 : -1]
        yield from (encoded, encoded.translate(bytes.maketrans(b"+/", b"-_")))


def hits(planted: dict[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which canaries are in which places, as ``canary in place``.

    Each place is looked through for the beginnings that canaries share, and for every canary only where one of them is.
    """
    stems = {value[:_STEM] for value in planted.values()}
    stem_forms = {form for stem in stems for form in forms(stem)}
    return [
        f"{name} in {place}"
        for place, content in places
        if any(stem in content for stem in stem_forms)
        for name, value in planted.items()
        if any(form in content for form in forms(value))
    ]
