"""Dead letters as an operator sees them, on the real broker; letters are as the processors and the sink write them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from infra.dead_letter_list import Choice, as_lines, as_table, named, newest, oldest
from infra.dead_letter_replay import Order, replay
from infra.dead_letter_topic import DeadLetterTopic
from infra.dead_letters import MOST_CHARACTERS, Letter, Mark, Stage, destination, mark_headers, printable, read
from infra.errors import BrokerUnreachable, DeadLetterUnknown
from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from processors.outbox import dead_letter
from schemas import codec
from schemas.topics import ALERTS, AUDIT, CLIENTS, DLQ, EVENTS, HEARTBEATS, Topic
from sinks.batches import Refused
from sinks.dead_letters import DeadLetters
from tests.brokers import running_broker
from tests.processors.samples import a_client, event

ORDER = Order("somebody")


def came(topic: str, partition: int, offset: int, value: bytes | None, key: bytes | None = b"c-1") -> ConsumerRecord:
    return ConsumerRecord(topic, partition, offset, 0, 0, key, value, None, 0, 0, ())


def standing(*headers: tuple[str, bytes], value: bytes | None = b"v", key: bytes | None = b"c-1") -> ConsumerRecord:
    return ConsumerRecord(DLQ.name, 0, 7, 1_700_000_000_000, 0, key, value, None, 0, 0, headers)


class Post:
    """Puts letters onto the topic and reads what comes of them."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self._producer = producer

    async def letter(self, record: ConsumerRecord, *more: tuple[str, bytes], error: str = "CodecError") -> int:
        out = dead_letter(record, type(error, (Exception,), {})())
        return await self.put(out.key, out.value, [*out.headers, *more])

    async def put(self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
        sent = await self._producer.send_and_wait(DLQ.name, value, key=key, headers=list(headers))
        return int(sent.offset)

    async def written(self, topic: Topic, letter: int) -> list[ConsumerRecord]:
        """The records of a topic that were written back from a letter."""
        text = str(letter).encode()
        return [each for each in await self.all_of(topic) if ("replayed-from", text) in each.headers]

    async def all_of(self, topic: Topic) -> list[ConsumerRecord]:
        found: list[ConsumerRecord] = []
        async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap, fetch_max_wait_ms=20) as consumer:
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            for partition, end in (await consumer.end_offsets(partitions)).items():
                while await consumer.position(partition) < end:
                    found += (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
        return found

    async def replayed(self, *letters: int, again: bool = False) -> list[tuple[int, bool]]:
        found = await replay(self.bootstrap, await named(self.bootstrap, letters), Order("somebody", again))
        return [(outcome.letter, outcome.replayed) for outcome in found]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker of its own: what is written back here would be read by every group that comes later."""
    with running_broker(tmp_path_factory.mktemp("letters")) as broker:
        yield broker


@pytest.fixture
async def post(kafka: EmbeddedKafka) -> AsyncIterator[Post]:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        yield Post(kafka.bootstrap, producer)


async def dlq(bootstrap: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra", "dlq", *arguments]
    environment = {**os.environ, "VIWORKS_KAFKA": bootstrap}
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


async def test_a_letter_is_listed_shown_and_written_back_once(post: Post) -> None:
    client = a_client()
    value = codec.encode("event", event(client, severity="high"))
    error = f"Error{uuid.uuid4().hex[:8]}"
    letter = await post.letter(came(EVENTS.name, 3, 41, value, client.encode()), error=error)

    [_, row] = (await dlq(post.bootstrap, "list", "--error", error)).stdout.splitlines()
    assert row.split()[0] == str(letter)
    assert row.split()[3:] == [EVENTS.name, "3", "41", error, "event", str(len(value))]
    shown = await dlq(post.bootstrap, "show", str(letter), "--hex")
    assert re.search(rf"^header error +{error}$", shown.stdout, re.MULTILINE)
    assert re.search(rf"^value begins +{value[:64].hex(' ')}$", shown.stdout, re.MULTILINE)
    assert value[:8].hex(" ") not in (await dlq(post.bootstrap, "show", str(letter))).stdout

    done = await dlq(post.bootstrap, "replay", str(letter), "--actor", "somebody")
    assert (done.returncode, done.stderr) == (0, "1 written back, 0 left\n")
    [record] = await post.written(EVENTS, letter)
    assert (record.key, record.value) == (client.encode(), value)
    assert record.partition == (murmur2(client.encode()) & 0x7FFFFFFF) % EVENTS.partitions
    assert f"{letter}: written to {EVENTS.name}-{record.partition} offset {record.offset}" in done.stdout
    [audit] = [each for each in await post.all_of(AUDIT) if each.key.endswith(f"/{letter}".encode())]
    record = codec.decode_as("audit", audit.value)
    assert (record["actor"], record["action"], record["outcome"]) == ("somebody", "dlq.replay", "accepted")
    assert json.loads(record["details"]) == {"topic": EVENTS.name, "partition": 3, "offset": 41, "error": error}

    twice = await dlq(post.bootstrap, "replay", str(letter))
    assert (twice.returncode, twice.stdout) == (1, f"{letter}: left: it was replayed\n")
    assert len(await post.written(EVENTS, letter)) == 1
    assert (await dlq(post.bootstrap, "list", "--error", error)).stdout.split()[-1] == "done"


async def test_what_the_user_can_mend_is_one_sentence(post: Post) -> None:
    wrong = await dlq(post.bootstrap, "replay")
    assert (wrong.returncode, "name letters, or say --topic or --error" in wrong.stderr) == (2, True)
    unknown = await dlq(post.bootstrap, "show", "987654321")
    assert (unknown.returncode, "No dead letter stands at offset 987654321" in unknown.stderr) == (1, True)
    assert "Traceback" not in unknown.stderr


async def test_a_broker_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.dead_letter_topic._PROBE_S", 0.3)
    with pytest.raises(BrokerUnreachable, match="No Kafka broker answers"):
        await newest(f"127.0.0.1:{free_port()}", Choice(None, None), 10)


async def test_letters_of_the_sink_are_letters_too(post: Post) -> None:
    error = f"Error{uuid.uuid4().hex[:8]}"
    await DeadLetters(post.bootstrap).deliver([Refused(came(EVENTS.name, 2, 5, b"poison"), error)])
    [found] = (await newest(post.bootstrap, Choice(EVENTS.name, error), 10)).letters
    assert (found.topic, found.partition, found.source, found.key, found.schema) == (EVENTS.name, 2, 5, b"c-1", "")


@pytest.mark.parametrize(
    ("key", "value", "kept"), [(b"k", b"v" * 1_048_000, b"k"), (b"k" * 1_048_000, None, None)], ids=["value", "key"]
)
async def test_a_record_as_large_as_kafka_takes_one_is_a_letter_without_its_content(
    post: Post, key: bytes, value: bytes | None, kept: bytes | None
) -> None:
    error = f"Error{uuid.uuid4().hex[:8]}"
    record = came(EVENTS.name, 2, 5, value, key)
    await DeadLetters(post.bootstrap).deliver([Refused(record, error)])
    await post.letter(record, error=error)
    found = (await newest(post.bootstrap, Choice(EVENTS.name, error), 10)).letters
    assert [(each.source, each.omitted, each.key, each.value_bytes) for each in found] == [(5, True, kept, 0)] * 2
    [outcome, _] = await replay(post.bootstrap, await oldest(post.bootstrap, Choice(EVENTS.name, error), 10), ORDER)
    assert "too large" in outcome.said


async def test_all_that_match_are_written_back_and_no_others(post: Post) -> None:
    mine, other = f"Error{uuid.uuid4().hex[:8]}", f"Error{uuid.uuid4().hex[:8]}"
    letters = [await post.letter(came(EVENTS.name, 1, number, b"p"), error=mine) for number in range(230)]
    left = await post.letter(came(EVENTS.name, 1, 999, b"p"), error=other)
    chosen = await oldest(post.bootstrap, Choice(EVENTS.name, mine), 225)
    found = await replay(post.bootstrap, chosen, ORDER)
    assert [outcome.letter for outcome in found if outcome.replayed] == letters[:225]
    rest = await oldest(post.bootstrap, Choice(EVENTS.name, mine), 225)
    assert [letter.offset for letter in rest.letters] == letters[225:]
    assert await post.written(EVENTS, left) == []


async def test_commands_at_the_same_time_write_each_letter_once(post: Post) -> None:
    letters = [await post.letter(came(EVENTS.name, 1, number, b"p")) for number in range(20)]
    chosen = await named(post.bootstrap, letters)
    outcomes = await asyncio.gather(*(replay(post.bootstrap, chosen, ORDER) for _ in range(4)))
    written = sorted(outcome.letter for each in outcomes for outcome in each if outcome.replayed)
    assert written == letters
    assert [len(await post.written(EVENTS, letter)) for letter in letters[::7]] == [1, 1, 1]


async def test_a_letter_without_a_key_goes_to_its_partition_and_a_receivers_letter_to_its_receiver(post: Post) -> None:
    unkeyed = await post.letter(came(HEARTBEATS.name, 5, 1, b"tick", key=None))
    delivery = await post.letter(came(ALERTS.name, 5, 1, None), ("receiver", b"soc\xff"))
    assert await post.replayed(unkeyed, delivery) == [(unkeyed, True), (delivery, True)]
    [record] = await post.written(HEARTBEATS, unkeyed)
    assert (record.partition, record.key) == (5, None)
    [record] = await post.written(ALERTS, delivery)
    assert (record.value, dict(record.headers)["receiver"]) == (None, b"soc\xff")


async def test_a_replay_that_was_begun_is_finished_only_where_somebody_says_so(post: Post) -> None:
    letter = await post.letter(came(EVENTS.name, 1, 1, b"p"))
    await post.put(b"m", None, mark_headers(Mark(letter, "a command that crashed", Stage.BEGUN)))
    assert await post.replayed(letter) == [(letter, False)]
    assert await post.replayed(letter, again=True) == [(letter, True)]
    assert await post.replayed(letter, again=True) == [(letter, False)]
    assert len(await post.written(EVENTS, letter)) == 1


async def test_a_mark_is_no_letter(post: Post) -> None:
    mark = await post.put(b"m", None, mark_headers(Mark(1, "r", Stage.BEGUN)))
    with pytest.raises(DeadLetterUnknown):
        await named(post.bootstrap, [mark])


async def test_reading_ends_in_time(post: Post) -> None:
    await post.letter(came(EVENTS.name, 1, 1, b"p"))
    with pytest.raises(BrokerUnreachable, match="within 0 s"):
        async with DeadLetterTopic(post.bootstrap, within_s=0.0):
            pass


@pytest.mark.parametrize(
    ("topic", "key", "partition", "reason"),
    [
        (CLIENTS.name, b"k", b"1", "keeps the newest record of each key"),
        (DLQ.name, b"k", b"0", "not one of the contract"),
        ("viworks.nothing.v1", b"k", b"1", "not one of the contract"),
        ("", b"k", b"1", "not one of the contract"),
        (EVENTS.name, None, b"8", "no key, and no partition"),
        (EVENTS.name, None, b"-1", "no key, and no partition"),
        (EVENTS.name, None, b"1" * 5_000, "no key, and no partition"),
    ],
)
def test_what_cannot_go_back_says_why(topic: str, key: bytes | None, partition: bytes, reason: str) -> None:
    letter = read(standing(("topic", topic.encode()), ("partition", partition), key=key))
    assert isinstance(letter, Letter)
    with pytest.raises(ValueError, match=reason):
        destination(letter)


NAMES = st.sampled_from(["topic", "partition", "offset", "error", "receiver", "replay-of", "stage", "request", "\x1b[2J"])


@given(st.lists(st.tuples(NAMES, st.binary(max_size=400)), max_size=40), st.none() | st.binary(max_size=20))
def test_no_header_does_anything_to_a_terminal(headers: list[tuple[str, bytes]], value: bytes | None) -> None:
    found = read(standing(*headers, value=value, key=value))
    if isinstance(found, Mark):
        assert found.stage in set(Stage)
        return
    lines = [*as_lines(found, None), *as_table(_chosen(found))]
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 4 * MOST_CHARACTERS
    assert len(lines) < 40


def _chosen(letter: Letter) -> Any:
    from infra.dead_letter_list import Chosen

    return Chosen([letter], {}, 8)


def test_escapes_and_directions_are_shown_as_what_they_are() -> None:
    assert printable("a\x1b]0;owned\x07\u202eb".encode() + b"\xff") == "a\\u001b]0;owned\\u0007\\u202eb\\xff"
    assert len(printable(b"\x1b" * 10_000)) == MOST_CHARACTERS
