"""One record in a hundred that nobody can use, through a worker on the real broker: no neighbour is lost."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import ConsumerRecord

from infra.kafka import EmbeddedKafka
from processors.settings import ProcessorSettings
from schemas import codec
from schemas.topics import ALERTS, DLQ, EVENTS, HEARTBEATS, LIVENESS, REGISTRATIONS, VERDICTS, Topic
from tests.deadline import eventually
from tests.processors import poison
from tests.processors.harness import Lab, worker_settings, working
from tests.processors.samples import a_client, event, heartbeat, registration

SHARE = 100
Place = tuple[str, int, int]


class Sent(NamedTuple):
    """``good`` by topic the clients whose record must have its effect, ``bad`` where poison stands and what kind it is."""

    good: dict[str, set[str]]
    bad: dict[Place, str]


SAMPLES: dict[Topic, Callable[[str], dict[str, Any]]] = {
    HEARTBEATS: heartbeat,
    EVENTS: lambda client: event(client, severity="high"),
    REGISTRATIONS: registration,
}


@pytest.mark.parametrize("count", [2_400, pytest.param(60_000, marks=pytest.mark.long)])
async def test_poison_costs_nobody_but_itself(own_kafka: EmbeddedKafka, tmp_path: Path, count: int) -> None:
    settings = worker_settings(own_kafka.bootstrap, tmp_path)
    async with Lab(own_kafka.bootstrap) as lab:
        sent = await send(lab, count)
        assert set(sent.bad.values()) == {*poison.KINDS, *poison.OF_HEARTBEATS}
        await all_had_their_effect(settings, lab, sent, 15 + count / 500)
        letters = Counter(place_of(letter) for letter in lab.raw(DLQ))
        assert {place: sent.bad[place] for place in sent.bad if not letters[place]} == {}
        assert set(letters) == set(sent.bad)
        assert {place: sent.bad[place] for place, times in letters.items() if times > 1} == {}


async def all_had_their_effect(settings: ProcessorSettings, lab: Lab, sent: Sent, within_s: float) -> None:
    effects = {HEARTBEATS: LIVENESS, EVENTS: ALERTS, REGISTRATIONS: VERDICTS}
    reader = Reader(lab)
    async with working(settings), lab.ticking("edge-of-the-poison"):
        for source, effect in effects.items():
            wanted = sent.good[source.name]
            await eventually(lambda seen=effect, wanted=wanted: wanted <= reader.clients_on(seen), within_s, effect.name)  # type: ignore[misc]
        await eventually(lambda: sent.bad.keys() <= {place_of(each) for each in lab.raw(DLQ)}, within_s, "letters")


class Reader:
    """Decodes each record once: it looks again and again, on the loop that the worker needs."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._read: Counter[str] = Counter()
        self._clients: defaultdict[str, set[str]] = defaultdict(set)

    def clients_on(self, topic: Topic) -> set[str]:
        """The clients of all records so far."""
        for raw in self._lab.raw(topic)[self._read[topic.name] :]:
            self._clients[topic.name].add(codec.decode_as(topic.schemas[0], raw.value)["client_id"])
            self._read[topic.name] += 1
        return self._clients[topic.name]


async def send(lab: Lab, count: int) -> Sent:
    """Good records of all topics and, at random places between them, one in ``SHARE`` that is poison."""
    shuffled = random.Random(5)
    sent = Sent({topic.name: set() for topic in SAMPLES}, {})
    poisons = {topic: cycle(kinds(topic)) for topic in SAMPLES}
    topics = list(SAMPLES)
    for number in range(count):
        topic = topics[number % len(topics)]
        client = a_client()
        record = SAMPLES[topic](client)
        # Every kind at least once, also where one in a hundred are fewer.
        if shuffled.random() < 1 / SHARE or number % (count // 60) == 0:
            kind, make = next(poisons[topic])
            at = await lab.producer.send_and_wait(topic.name, make(topic, record), key=client.encode())
            sent.bad[at.topic, at.partition, at.offset] = kind
        else:
            value = codec.encode(topic.schemas[0], record)
            await lab.producer.send(topic.name, value, key=client.encode())
            sent.good[topic.name].add(client)
    await lab.producer.flush()
    return sent


def kinds(topic: Topic) -> Iterator[tuple[str, poison.Kind]]:
    of_it = poison.OF_HEARTBEATS if topic is HEARTBEATS else {}
    return iter([*of_it.items(), *poison.KINDS.items()])


def place_of(letter: ConsumerRecord) -> Place:
    headers = dict(letter.headers)
    return headers["topic"].decode(), int(headers["partition"]), int(headers["offset"])
