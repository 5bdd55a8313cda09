"""Requests for a server in strict mode: sealed by hand or by the library, and those in which one member was left plain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from schemas.privacy import ADDRESSES, SENSITIVE, truncate_address
from schemas.sealing import Place, SealingKey
from tests.end_to_end.canaries import Canaries, put
from tests.end_to_end.canary_requests import Fill, Sender
from tests.rust_client import now_ms
from viworks import Client, Device, Identity

TYPES: dict[type, tuple[str, str]] = {
    ClientRegistration: ("registration", "timestamp"),
    Heartbeat: ("heartbeat", "timestamp"),
    SessionReport: ("session", "session_id"),
    SecurityEvent: ("event", "event_id"),
}
FOREIGN = SealingKey(X25519PrivateKey.generate().public_key())


def place_of(kind: type, message: dict[str, Any], member: str) -> Place:
    name, message_id = TYPES[kind]
    return Place(message["client_id"], f"{name}.{member.rpartition('.')[2]}", str(message[message_id]))


def sealing(key: SealingKey, kept: Canaries, hidden: Canaries) -> Fill:
    """Seals a canary into every sensitive member, and puts the network of one into every member that holds an address."""

    def fill(kind: type, message: dict[str, Any], where: str) -> dict[str, Any]:
        for member in SENSITIVE.get(kind, ()):
            canary = kept.text(f"{where}: {member}")
            put(message, member, key.seal(canary.encode(), place_of(kind, message, member)))
        for member in ADDRESSES.get(kind, ()):
            put(message, member, truncate_address(hidden.address(f"{where}: {member}")))
        return message

    return fill


async def refused_plaintext(sender: Sender, key: SealingKey, hidden: Canaries) -> None:
    """Sealed messages in which one member alone is plaintext, or sealed for somebody else, or a whole address."""
    for kind in TYPES:
        for member, plain in _plaintexts(kind, hidden):
            message = sealing(key, Canaries(), hidden)(kind, sender.message(kind), f"beside {member} {sender.number}")
            put(message, member, plain)
            answer = await sender.send(kind, message)
            problem = answer.json()
            expected = (422, "urn:viworks:problem:plaintext-refused", member)
            assert (answer.status_code, problem["type"], problem["member"]) == expected
            sender.refused += 1


def _plaintexts(kind: type, hidden: Canaries) -> Iterator[tuple[str, str]]:
    for member in SENSITIVE.get(kind, ()):
        yield member, hidden.text(f"{member} in the clear")
        yield member, "vws1:" + hidden.text(f"{member} under an envelope's prefix")
        yield member, FOREIGN.seal(hidden.text(f"{member} for another key").encode(), Place("c", "t", "m"))
    for member in ADDRESSES.get(kind, ()):
        for number in range(2):  # one of each version
            yield member, hidden.address(f"{member} whole {number}")
        yield member, "::ffff:" + hidden.address(f"{member} mapped, whole")
        yield member, hidden.text(f"{member} is no address")
        yield member, f"{truncate_address(hidden.address(f'{member} with a zone'))}%{hidden.text(f'{member}, its zone')}"


async def by_the_library(edge: str, key: SealingKey, kept: Canaries, hidden: Canaries) -> None:
    """The client library, given whole addresses and plaintext, sends what a strict server takes."""
    device = Device(*(kept.text(f"library: {name}") for name in ("os_type", "os_version", "device_id", "hardware_hash")))
    async with Client(edge, Identity.create("canary-library"), device=device, sealing_key=key) as client:
        await client.report_event(
            "policy_violation",
            "low",
            kept.text("library: description"),
            source_ip=hidden.address("library: source_ip"),
            target_ip=hidden.address("library: target_ip"),
        )
        await client.report_session(
            "library-session",
            "vpn_connection",
            "active",
            start_time=now_ms(),
            node_id="n",
            client_ip=hidden.address("library: client_ip"),
            internal_ip=kept.text("library: internal_ip"),
            user_agent="u",
        )
