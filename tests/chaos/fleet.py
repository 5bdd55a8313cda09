"""A fleet of which a known script silences some for good, some for a while, and lets some say that they go."""

from __future__ import annotations

import asyncio
import random
from enum import StrEnum
from typing import NamedTuple

from bench.signed_clients import SignedClient, now_ms
from ingest.tokens import TokenKeys

ACCEPTED = 202
_RETRY_S = 0.2


class Fate(StrEnum):
    """What a client does in the end."""

    BEATS = "beats"
    SILENT = "silent for good"
    RETURNS = "silent for a while"
    LEAVES = "says that it goes"
    COMES_BACK = "says that it goes, and comes back"


# By the last digits of a client's number, so that every fleet has the same mixture.
_FATES = [Fate.SILENT] * 2 + [Fate.RETURNS] * 2 + [Fate.LEAVES, Fate.COMES_BACK] + [Fate.BEATS] * 14


class Accepted(NamedTuple):
    """A message for which the client got a 202, with when it was sent and when the answer came (ms)."""

    client_id: str
    what: str
    sent_ms: int
    answered_ms: int


class Fleet:
    """``count`` clients at ``interval_s``; what the script does lies within ``span_s`` seconds."""

    def __init__(self, count: int, keys: TokenKeys, port: int, interval_s: float, span_s: float) -> None:
        self.accepted: list[Accepted] = []
        self.events: list[Accepted] = []
        self.fates = {f"chaos-{number:04d}": _FATES[number % len(_FATES)] for number in range(count)}
        self._clients = [SignedClient(client_id, keys, port) for client_id in self.fates]
        self._interval_s = interval_s
        self._span_s = span_s

    async def run(self) -> None:
        """Beat until cancelled."""
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(self._live(client))

    async def _live(self, client: SignedClient) -> None:
        chance = random.Random(client.client_id)
        fate, loop = self.fates[client.client_id], asyncio.get_running_loop()
        began_s = loop.time()
        leaves_s = self._span_s * chance.uniform(0.2, 0.5)
        returns_s = leaves_s + self._span_s * chance.uniform(0.3, 0.45)
        await asyncio.sleep(self._interval_s * chance.random())
        try:
            await self._until(client, chance, began_s + leaves_s if fate is not Fate.BEATS else None)
            if fate in (Fate.LEAVES, Fate.COMES_BACK):
                await self._surely(client, "offline")
            if fate in (Fate.SILENT, Fate.LEAVES):
                return
            await asyncio.sleep(began_s + returns_s - loop.time())
            await self._until(client, chance, None)
        finally:
            await client.close()

    async def _until(self, client: SignedClient, chance: random.Random, end_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        while end_s is None or loop.time() < end_s:
            await self._surely(client, "online")
            await self._sometimes_an_event(client, chance)
            await asyncio.sleep(self._interval_s * chance.uniform(0.8, 1.0))

    async def _surely(self, client: SignedClient, status: str) -> None:
        """Until it is accepted: a client whose edge is away tries again."""
        while True:
            sent_ms = now_ms()
            if await client.beat(status) == ACCEPTED:
                self.accepted.append(Accepted(client.client_id, status, sent_ms, now_ms()))
                return
            await asyncio.sleep(_RETRY_S)

    async def _sometimes_an_event(self, client: SignedClient, chance: random.Random) -> None:
        if chance.random() > 0.05:
            return
        event_id, sent_ms = f"{client.client_id}-{chance.getrandbits(48):x}", now_ms()
        severe = chance.random() < 0.5
        kind = ("policy_violation", "high") if severe else ("authentication_failure", "medium")
        if await client.event(event_id, *kind) == ACCEPTED and severe:
            self.events.append(Accepted(client.client_id, event_id, sent_ms, now_ms()))
