"""DNS messages (RFC 1035, section 4), as much as asks for the addresses of a name: A and AAAA.

What comes is hostile until it has been read: sizes and counts are bounded, compression may point backwards only, and a
record counts only where the question's name leads to it.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass
from enum import IntEnum

from viworks.errors import NameNotResolved, NoSuchName, SettingsInvalid

MAX_MESSAGE_BYTES = 8 * 1024
_MOST_RECORDS = 64
_MOST_ALIASES = 8
_MOST_ADDRESSES = 16
_MOST_NAME_BYTES = 255
# RFC 8467, 4.1: queries are padded, so that their lengths do not tell the name.
_BLOCK_BYTES = 128
_EDNS_BYTES, _OPT, _PADDING = 15, 41, 12
_CNAME, _IN = 5, 1
_NO_ERROR, _NAME_ERROR = 0, 3
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


class RecordType(IntEnum):
    """What is asked for."""

    A = 1
    AAAA = 28


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a name stands for, perhaps nothing, and for how many seconds."""

    found: tuple[str, ...]
    ttl_s: int


def encode_query(name: str, kind: RecordType) -> bytes:
    """A recursive query, padded. Its id is 0 (RFC 8484, 4.1). Raises SettingsInvalid where the name is none."""
    question = _encoded_name(name) + struct.pack("!HH", kind, _IN)
    unpadded = 12 + len(question) + _EDNS_BYTES
    padding = bytes(-unpadded % _BLOCK_BYTES)
    option = struct.pack("!HH", _PADDING, len(padding)) + padding
    edns = b"\x00" + struct.pack("!HHIH", _OPT, MAX_MESSAGE_BYTES, 0, len(option)) + option
    return struct.pack("!6H", 0, 0x0100, 1, 0, 0, 1) + question + edns


def decode_answer(message: bytes, name: str, kind: RecordType) -> Addresses:
    """Read the answer to ``encode_query`` with the same name and kind.

    Raises:
        NoSuchName: the name does not exist.
        NameNotResolved: the name service could not say, or this is not such an answer.
    """
    try:
        return _decoded(message, name, kind)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise _malformed() from None


def _decoded(message: bytes, name: str, kind: RecordType) -> Addresses:
    if len(message) > MAX_MESSAGE_BYTES:
        raise _malformed()
    id_, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
    response, truncated = flags & 0xF800 == 0x8000, flags & 0x0200
    if id_ or not response or truncated or questions != 1 or answers > _MOST_RECORDS:
        raise _malformed()
    asked, at = _read_name(message, 12)
    if (asked, *struct.unpack_from("!HH", message, at)) != (_plain(name), kind, _IN):
        raise _malformed()
    if flags & 0xF == _NAME_ERROR:
        raise NoSuchName("the server's name does not exist")
    if flags & 0xF != _NO_ERROR:
        raise NameNotResolved(f"the name service cannot say: code {flags & 0xF}")
    return _followed(_read_records(message, at + 4, answers), _plain(name), kind)


@dataclass(frozen=True, slots=True)
class _Record:
    owner: str
    kind: int
    ttl_s: int
    value: str
    """An address, or the name that an alias is for."""


def _read_records(message: bytes, at: int, count: int) -> list[_Record]:
    records = []
    for _ in range(count):
        owner, at = _read_name(message, at)
        kind, class_, ttl_s, length = struct.unpack_from("!HHIH", message, at)
        at += 10
        if at + length > len(message):
            raise _malformed()
        if class_ == _IN and kind in (_CNAME, *RecordType):
            # RFC 2181, section 8: a time with its highest bit set counts as none.
            records.append(_Record(owner, kind, ttl_s if ttl_s < 1 << 31 else 0, _read_value(message, at, kind, length)))
        at += length
    return records


def _read_value(message: bytes, at: int, kind: int, length: int) -> str:
    if kind == _CNAME:
        return _read_name(message, at)[0]
    if length != (4 if kind == RecordType.A else 16):
        raise _malformed()
    return str(ipaddress.ip_address(message[at : at + length]))


def _followed(records: list[_Record], name: str, kind: RecordType) -> Addresses:
    """The addresses at the end of the aliases; what belongs to other names was not asked for."""
    ttls: list[int] = []
    for _ in range(_MOST_ALIASES + 1):
        own = [record for record in records if record.owner == name]
        found = [record for record in own if record.kind == kind]
        if found:
            ttl_s = min([*ttls, *(record.ttl_s for record in found)])
            return Addresses(tuple(dict.fromkeys(record.value for record in found))[:_MOST_ADDRESSES], ttl_s)
        alias = next((record for record in own if record.kind == _CNAME), None)
        if alias is None:
            return Addresses((), 0)
        ttls.append(alias.ttl_s)
        name = alias.value
    raise _malformed()


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    """The name at a position, and the position after it. A pointer leads backwards only, so that no two make a ring."""
    labels: list[bytes] = []
    after, lowest, size = -1, at, 0
    while message[at]:
        length = message[at]
        if length >= 0xC0:
            target = struct.unpack_from("!H", message, at)[0] & 0x3FFF
            after = at + 2 if after < 0 else after
            if target >= lowest:
                raise _malformed()
            at = lowest = target
            continue
        label = message[at + 1 : at + 1 + length]
        size += 1 + length
        if length > 0x3F or len(label) < length or size > _MOST_NAME_BYTES:
            raise _malformed()
        labels.append(label)
        at += 1 + length
    return b".".join(labels).decode("ascii").lower(), at + 1 if after < 0 else after


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _encoded_name(name: str) -> bytes:
    labels = _plain(name).split(".")
    encoded = b"".join(bytes([len(label)]) + label.encode() for label in labels if _LABEL.fullmatch(label)) + b"\x00"
    if len(encoded) != len(_plain(name)) + 2 or len(encoded) > _MOST_NAME_BYTES:
        raise SettingsInvalid("the server's name is not one of DNS")
    return encoded


def _malformed() -> NameNotResolved:
    return NameNotResolved("the name service's answer is not one")
