"""Which columns came out of a signed message, and what each must be, given the message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas import signing
from schemas.errors import BadPublicKey, SealingError
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from schemas.privacy import truncate_address
from schemas.sealing import Place, open_envelope
from sinks.proof.soc import SocKey

Row = Mapping[str, Any]
Compare = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, the path of the member that it came from, and whether the two agree."""

    name: str
    path: str
    agrees: Compare


@dataclass(frozen=True, slots=True)
class Kind:
    """The rows of one table.

    ``place`` names the kind in the places of envelopes, ``message_id`` is the column that tells messages apart there;
    ``sealed`` are columns that may be envelopes, each with its member, and ``group`` one that is an envelope of several.
    """

    message: type[Any]
    place: str
    message_id: str
    columns: tuple[Column, ...]
    sealed: Mapping[str, str]
    group: str = ""

    def place_of(self, row: Row, column: str) -> Place:
        return Place(row["client_id"], f"{self.place}.{column}", str(row[self.message_id]))


def _same(column: Any, member: Any) -> bool:
    return bool(column == member)


def _network(column: Any, member: Any) -> bool:
    return bool(column == (None if member is None else truncate_address(member)))


def _pseudonym(column: Any, member: Any) -> bool:
    """The key of pseudonyms is the edge's: only whether there is one can be told."""
    return (column is None) == (member is None)


def _pem(column: Any, member: Any) -> bool:
    try:
        return bool(column == signing.public_key_from_pem(member).hex().upper())
    except BadPublicKey:
        return False


def _equal(*names: str, of: str = "") -> tuple[Column, ...]:
    return tuple(Column(name, f"{of}.{name}" if of else name, _same) for name in names)


def _address(name: str, of: str) -> tuple[Column, ...]:
    return Column(name, f"{of}.{name}", _network), Column(f"{name}_pseudonym", f"{of}.{name}", _pseudonym)


KINDS: dict[str, Kind] = {
    "registrations": Kind(
        ClientRegistration,
        "registration",
        "timestamp",
        (
            *_equal("client_id", "capabilities", "version", "node_id", "timestamp", "csr"),
            Column("public_key", "public_key", _pem),
        ),
        {},
        "device_info",
    ),
    "sessions": Kind(
        SessionReport,
        "session",
        "session_id",
        (
            *_equal("client_id", "session_id", "session_type", "start_time", "end_time", "status"),
            *_equal("node_id", "user_agent", "protocol_version", of="metadata"),
            *_address("client_ip", "metadata"),
        ),
        {"internal_ip": "metadata.internal_ip"},
    ),
    "events": Kind(
        SecurityEvent,
        "event",
        "event_id",
        (
            *_equal("client_id", "event_id", "event_type", "severity", "timestamp"),
            *_equal("user_agent", "error_code", of="details"),
            *_address("source_ip", "details"),
            *_address("target_ip", "details"),
        ),
        {"description": "details.description"},
    ),
    "heartbeats": Kind(
        Heartbeat,
        "heartbeat",
        "timestamp",
        (
            *_equal("client_id", "timestamp", "status"),
            *_equal("uptime", "memory_usage", "cpu_usage", "network_activity", of="metrics"),
        ),
        {"sealed": "metrics.sealed"},
    ),
}
"""By table. What the edge adds itself (``received_at``, ``edge``, labels, intervals) nobody signed."""


def first_difference(kind: Kind, row: Row, message: Any, soc_key: SocKey | None) -> tuple[str, tuple[str, ...]]:
    """The first column that is not what was signed, empty for none; and those that only the SOC's key can tell."""
    for column in kind.columns:
        if not column.agrees(row[column.name], member(message, column.path)):
            return column.name, ()
    return _sealed_difference(kind, row, message, soc_key)


def _sealed_difference(kind: Kind, row: Row, message: Any, soc_key: SocKey | None) -> tuple[str, tuple[str, ...]]:
    unknown: list[str] = []
    for name, path in kind.sealed.items():
        agrees = _sealed_agrees(row, name, member(message, path), kind.place_of(row, name), soc_key)
        if agrees is False:
            return name, ()
        unknown += [name] if agrees is None else []
    if kind.group and soc_key and not _group_agrees(kind, row, message, soc_key):
        return kind.group, ()
    unknown += [kind.group] if kind.group and soc_key is None else []
    return "", tuple(unknown)


def _sealed_agrees(row: Row, name: str, signed: Any, place: Place, soc_key: SocKey | None) -> bool | None:
    """None where only the SOC's key could tell."""
    value = row[name]
    if value == signed:  # the client itself had sealed it, or there is none
        return True
    if value is None or signed is None or not row["signed_bytes_sealed"]:
        return False  # a strict edge keeps what came, as it came
    return None if soc_key is None else _opens_to(value, signed, place, soc_key)


def member(message: Any, path: str) -> Any:
    """The plain value of a member, by its path; None where it was not sent."""
    for name in path.split("."):
        message = getattr(message, name)
    if message is msgspec.UNSET:
        return None
    return getattr(message, "value", message)


def _opens_to(value: str, signed: str, place: Place, soc_key: SocKey) -> bool:
    try:
        return open_envelope(value, place, soc_key.private_key) == signed.encode()
    except SealingError:
        return False


def _group_agrees(kind: Kind, row: Row, message: Any, soc_key: SocKey) -> bool:
    try:
        plain = open_envelope(row[kind.group], kind.place_of(row, kind.group), soc_key.private_key)
        members: dict[str, str] = msgspec.json.decode(plain, type=dict[str, str])
    except (SealingError, msgspec.DecodeError):
        return False
    info = getattr(message, kind.group)
    return members == {name: getattr(info, name) for name in info.__struct_fields__ if name != "encrypted"}
