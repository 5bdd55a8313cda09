"""Writes dead letters back to where they came from, each at most once, whoever else does so at the same time.

Before a letter is written back a mark on the same topic claims it. The topic has one order, so of two commands that claim
the same letter the later one sees that it lost. After a crash in between the letter stays claimed and is not written once
more unless somebody says so.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.dead_letter_list import Chosen
from infra.dead_letter_topic import DeadLetterTopic
from infra.dead_letters import REPLAYED_FROM, Letter, Mark, Stage, destination, mark_headers
from infra.errors import BrokerUnreachable, DeadLetterUnknown
from schemas import codec
from schemas.dead_letters import RECEIVER
from schemas.topics import AUDIT, DLQ

_AT_ONCE = 100
_ANSWER_S = 30.0


class Order(NamedTuple):
    """``again``: also letters whose replay was begun and not finished. ``actor`` stands in the audit."""

    actor: str
    again: bool = False


class Outcome(NamedTuple):
    """Of one letter: where it was written, or why it was not."""

    letter: int
    replayed: bool
    said: str


async def replay(bootstrap: str, chosen: Chosen, order: Order) -> list[Outcome]:
    """Write letters back.

    Raises:
        BrokerUnreachable: the broker does not answer; what was claimed until then shows as begun.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    try:
        async with DeadLetterTopic(bootstrap) as topic, producer:
            return await _Replay(topic, producer, order, chosen).all()
    except (KafkaError, TimeoutError) as error:
        raise BrokerUnreachable(
            f"The broker at {bootstrap} did not take a letter ({type(error).__name__}): `viworks dlq list` shows which was"
            " begun, and --again writes it."
        ) from None


class _Replay:
    def __init__(self, topic: DeadLetterTopic, producer: AIOKafkaProducer, order: Order, chosen: Chosen) -> None:
        self._topic = topic
        self._producer = producer
        self._order = order
        self._chosen = chosen
        self._request = str(uuid.uuid4())
        self._owners: dict[int, str] = {}
        self._seen = chosen.end

    async def all(self) -> list[Outcome]:
        letters = self._chosen.letters
        found: list[Outcome] = []
        for start in range(0, len(letters), _AT_ONCE):
            found += await self._some(letters[start : start + _AT_ONCE])
        return found

    async def _some(self, letters: Sequence[Letter]) -> list[Outcome]:
        reasons = {letter.offset: self._refusal(letter) for letter in letters}
        mine = await self._claim([number for number, reason in reasons.items() if not reason])
        return [
            await self._write(letter) if letter.offset in mine else _left(letter, reasons[letter.offset])
            for letter in letters
        ]

    def _refusal(self, letter: Letter) -> str:
        stage = self._chosen.stages.get(letter.offset)
        if stage is Stage.DONE:
            return "it was replayed"
        if stage is Stage.BEGUN and not self._order.again:
            return "its replay was begun and not finished, so it may have been written: --again writes it once more"
        try:
            destination(letter)
        except ValueError as error:
            return str(error)
        return ""

    async def _claim(self, offsets: Sequence[int]) -> set[int]:
        """Those of the letters that are this command's: its mark is the first since they were looked at."""
        last = [await self._mark(number, Stage.BEGUN) for number in offsets]
        if not last:
            return set()
        async for each in self._topic.scan(self._seen, last[-1] + 1):
            if isinstance(each, Mark):
                self._owners.setdefault(each.letter, each.request)
        self._seen = last[-1] + 1
        return {number for number in offsets if self._owners.get(number) == self._request}

    async def _write(self, letter: Letter) -> Outcome:
        topic, partition = destination(letter)
        try:
            _, value = await self._topic.letter(letter.offset)
        except DeadLetterUnknown:
            return _left(letter, "it is gone: its retention ended")
        headers = [(REPLAYED_FROM, str(letter.offset).encode())]
        if letter.receiver is not None:
            headers.append((RECEIVER, letter.receiver))
        at = await self._sent(self._producer.send(topic.name, value, key=letter.key, partition=partition, headers=headers))
        await self._mark(letter.offset, Stage.DONE)
        await self._sent(self._producer.send(AUDIT.name, *self._audit(letter)))
        return Outcome(letter.offset, replayed=True, said=f"{at.topic}-{at.partition} offset {at.offset}")

    async def _mark(self, letter: int, stage: Stage) -> int:
        headers = mark_headers(Mark(letter, self._request, stage))
        sending = self._producer.send(DLQ.name, key=f"replay/{letter}".encode(), headers=headers)
        return int((await self._sent(sending)).offset)

    async def _sent(self, sending: Awaitable[Any]) -> Any:
        """Where it stands once all replicas have it. An idempotent producer waits for ever for a broker that is away."""
        async with asyncio.timeout(_ANSWER_S):
            return await (await sending)

    def _audit(self, letter: Letter) -> tuple[bytes, bytes]:
        details = {"topic": letter.topic, "partition": letter.partition, "offset": letter.source, "error": letter.error}
        record = {
            "audit_id": f"{self._request}.{letter.offset}",
            "timestamp": time.time_ns() // 1_000_000,
            "actor": self._order.actor,
            "action": "dlq.replay",
            "subject": f"{DLQ.name}/{letter.offset}",
            "outcome": "accepted",
            "details": json.dumps(details, separators=(",", ":")),
        }
        return codec.encode("audit", record), str(record["subject"]).encode()


def _left(letter: Letter, reason: str) -> Outcome:
    return Outcome(letter.offset, replayed=False, said=reason or "another command was faster")
