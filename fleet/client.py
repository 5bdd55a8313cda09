"""One simulated client: an identity, what it may show the server, and how it is at present."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Container
from copy import copy

from nacl import bindings

from fleet.discipline import Trouble
from schemas import signing

# What a simulated client keeps while it cannot send; the oldest goes.
MOST_SPOOLED = 1_000


class SimulatedClient:
    """A hundred thousand of these live in one process, so it is small and has no task of its own.

    Attributes:
        secret: the 64 bytes that libsodium signs with (seed and public key), so that signing does not expand the seed anew.
        credentials: the header lines that every request carries but a registration.
        booted_ms: since when its device runs, by its own clock.
        skew_ms: how far its clock is ahead.
        silent, cut: how many acts of the scenario have switched it off, or taken the network from it.
        trouble: backoff and breaker, while requests fail.
        beating, replaying: whether a heartbeat, a delivery, is scheduled or under way.
        spool: messages that wait until they can be sent, as (kind, unsigned body).
        twin: another device with the same identity; it makes no events.
    """

    __slots__ = (
        "beating",
        "booted_ms",
        "client_id",
        "credentials",
        "cut",
        "interval_ms",
        "metrics",
        "newest_ms",
        "number",
        "public_key",
        "replaying",
        "secret",
        "silent",
        "skew_ms",
        "spool",
        "status",
        "trouble",
        "twin",
    )

    def __init__(self, number: int, client_id: str, seed: bytes, booted_ms: int) -> None:
        self.number = number
        self.client_id = client_id
        self.public_key, self.secret = bindings.crypto_sign_seed_keypair(seed)
        self.credentials = b""
        self.booted_ms = booted_ms
        self.newest_ms = 0
        self.skew_ms = 0
        self.interval_ms = 0
        self.status = "online"
        self.metrics = b'"memory_usage":%d,"cpu_usage":%d,"network_activity":%d' % (
            20 + number % 61,
            1 + number % 59,
            number % 4097,
        )
        self.silent = self.cut = 0
        self.trouble: Trouble | None = None
        self.spool: deque[tuple[str, bytes]] | None = None
        self.beating = self.replaying = False
        self.twin = False

    def admit(self, api_key: str) -> None:
        """Use this API key from now on."""
        self.credentials = f"Authorization: Bearer {api_key}\r\nX-Client-ID: {self.client_id}\r\n".encode()

    def make_twin(self, booted_ms: int) -> SimulatedClient:
        """Another device with this identity, that was booted at another time."""
        twin = copy(self)
        twin.booted_ms, twin.twin = booted_ms, True
        twin.beating = twin.replaying = False
        twin.trouble = twin.spool = None
        return twin

    def sign(self, message: bytes) -> bytes:
        """The signature's text."""
        signature = bindings.crypto_sign(message, self.secret)[: signing.SIGNATURE_BYTES]
        return signing.encode_signature(signature).encode()

    def keep(self, kind: str, unsigned: bytes) -> bool:
        """Spool a message; False where the oldest had to go for it."""
        if self.spool is None:
            self.spool = deque(maxlen=MOST_SPOOLED)
        room = len(self.spool) < MOST_SPOOLED
        self.spool.append((kind, unsigned))
        return room

    def forget(self, done: Container[int]) -> None:
        """Drop spooled messages, by their ``id``: while they were under way others may have come and gone."""
        if self.spool is not None:
            left = [message for message in self.spool if id(message) not in done]
            self.spool = deque(left, maxlen=MOST_SPOOLED) if left else None


def client_id_of(fleet: str, number: int) -> str:
    """The name of a client of a fleet."""
    return f"{fleet}-{number:06d}"


def seed_of(fleet: str, number: int) -> bytes:
    """The Ed25519 seed of a client: of its fleet's name, so that a later run has the same clients; no secret therefore."""
    return hashlib.sha256(f"viworks/fleet/v1\n{fleet}\n{number}".encode()).digest()


def make_clients(fleet: str, count: int, now_ms: int) -> list[SimulatedClient]:
    """``count`` clients whose devices were booted at different times within the last ten days."""
    day_ms = 86_400_000
    return [
        SimulatedClient(
            number,
            client_id_of(fleet, number),
            seed_of(fleet, number),
            now_ms - 60_000 - int.from_bytes(seed_of(fleet, number)[:4], "big") % (10 * day_ms),
        )
        for number in range(count)
    ]
