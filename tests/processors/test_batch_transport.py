"""Which offset is committed, without a broker: never one past something that is not done (faust-streaming issue 606)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from faust.types import ConsumerMessage
from hypothesis import given
from hypothesis import strategies as st

from processors.app import _carry, build_app
from processors.batch_transport import BatchConsumer, Records
from processors.settings import ProcessorSettings
from schemas.topics import CLIENTS, EVENTS

TP = TopicPartition(EVENTS.name, 0)


def record(offset: int, topic: str = EVENTS.name) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, 0, 0, b"k", b"v", None, 1, 1, ())


class Bench:
    """A consumer that was never started: batches are handed out and acknowledged by hand."""

    def __init__(self, directory: Path) -> None:
        self.app = build_app(ProcessorSettings(data_dir=directory), lambda: 0)
        self.app.topics.acks_enabled_for = lambda topic: True
        self.consumer: BatchConsumer = self.app.consumer
        self.consumer.highwater = lambda tp: 0

    def close(self) -> None:
        """The consumer's thread never ran, but its event loop is there."""
        self.consumer._thread.thread_loop.close()

    def hand_out(self, *offsets: int) -> ConsumerMessage:
        [message] = self.consumer._messages(TP, [record(offset) for offset in offsets])
        return message


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


async def test_a_batch_is_one_message_with_the_last_offset(bench: Bench) -> None:
    message = bench.hand_out(7, 8, 11)
    assert (message.offset, [each.offset for each in message.value]) == (11, [7, 8, 11])


async def test_changelogs_stay_record_by_record(bench: Bench) -> None:
    tp = TopicPartition(CLIENTS.name, 0)
    messages = bench.consumer._messages(tp, [record(1, CLIENTS.name), record(2, CLIENTS.name)])
    assert [(each.offset, each.value) for each in messages] == [(1, b"v"), (2, b"v")]


@pytest.mark.parametrize("committed", [None, 2585])
async def test_an_unfinished_batch_holds_the_commit(bench: Bench, committed: int | None) -> None:
    bench.consumer._committed_offset[TP] = committed
    first, second, third = bench.hand_out(2585), bench.hand_out(2586, 2587), bench.hand_out(2588, 2589)
    bench.consumer.ack(second)
    bench.consumer.ack(third)
    assert bench.consumer._new_offset(TP) is None
    bench.consumer.ack(first)
    assert bench.consumer._new_offset(TP) == 2590
    assert bench.consumer._new_offset(TP) is None


async def test_what_a_rebalance_left_behind_is_not_acknowledged(bench: Bench) -> None:
    left_behind = bench.hand_out(7, 8)
    bench.app.consumer_generation_id += 1
    bench.consumer._handed_out.clear()
    bench.consumer.ack(left_behind)
    assert bench.consumer._new_offset(TP) is None
    bench.consumer.ack(bench.hand_out(7))
    assert bench.consumer._new_offset(TP) == 8


class Stream:
    """One event, and Faust's habit: it acknowledges what the loop took, also where that raised, unless asked not to."""

    def __init__(self) -> None:
        self.message = SimpleNamespace(partition=0)
        self.value = [record(1)]
        self.acked: list[str] = []
        self._by_hand = False

    def noack(self) -> Stream:
        self._by_hand = True
        return self

    async def events(self) -> AsyncIterator[Stream]:
        try:
            yield self
        finally:
            if not self._by_hand:
                self.acked.append("by Faust")

    def ack(self) -> None:
        self.acked.append("by hand")


@pytest.mark.parametrize(("fault", "acked"), [(None, ["by hand"]), (ValueError("as it happens"), [])])
async def test_an_event_is_acknowledged_when_it_was_handled(
    tmp_path: Path, fault: Exception | None, acked: list[str]
) -> None:
    handled: list[int] = []
    crashes: list[BaseException] = []

    async def handler(partition: int, records: Records) -> None:
        handled.append(partition)
        if fault:
            raise fault

    async def crash(error: BaseException) -> None:
        crashes.append(error)

    found: dict[str, Any] = {}
    app = SimpleNamespace(
        topic=lambda *_, **__: None, crash=crash, agent=lambda *_, **__: lambda agent: found.update(agent=agent)
    )
    _carry(app, EVENTS, "events", handler)
    stream = Stream()
    with pytest.raises(ValueError, match="as it happens") if fault else nullcontext():
        await found["agent"](stream)
    # The loop's own clean-up of a generator that nobody holds any more: one turn to start it, one to do it.
    for _ in range(3):
        await asyncio.sleep(0)
    assert (handled, stream.acked, crashes) == ([0], acked, [fault] if fault else [])


async def test_a_fetch_under_way_does_not_see_partitions_paused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[TopicPartition]] = []

    async def getmany(active: set[TopicPartition], timeout: float) -> dict[TopicPartition, list[ConsumerRecord]]:
        asked.append(active)
        return {}

    monkeypatch.setattr(bench.consumer._thread, "getmany", getmany)
    active = {TP}
    await bench.consumer._getmany(active, 1.0)
    active.clear()
    assert asked == [{TP}]


@pytest.mark.parametrize(("committed", "expected"), [(None, [TP]), (7, [])])
async def test_what_has_no_committed_offset_is_read_from_its_beginning(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, committed: int | None, expected: list[TopicPartition]
) -> None:
    sought: list[TopicPartition] = []

    async def seek_to_committed() -> dict[TopicPartition, int | None]:
        return {TP: committed}

    async def seek_to_beginning(*partitions: TopicPartition) -> None:
        sought.extend(partitions)

    monkeypatch.setattr(bench.consumer, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(bench.consumer, "assignment", lambda: {TP})
    monkeypatch.setattr(bench.consumer._thread, "seek_to_beginning", seek_to_beginning)
    await bench.consumer.perform_seek()
    assert sought == expected


async def test_offsets_that_kafka_left_out_hold_nothing_up(bench: Bench) -> None:
    bench.consumer._committed_offset[TP] = 10
    await bench.consumer._add_gap(TP, 10, 50)
    bench.consumer.ack(bench.hand_out(50, 51))
    assert bench.consumer._new_offset(TP) == 52


@given(st.permutations(range(8)), st.integers(0, 8))
async def test_the_commit_is_the_end_of_what_is_done_without_a_hole(order: list[int], done: int) -> None:
    finished = set(order[:done])
    whole = next(number for number in range(9) if number not in finished)
    with closing(Bench(Path("never-made"))) as bench:
        messages = [bench.hand_out(2 * number, 2 * number + 1) for number in range(8)]
        for number in order[:done]:
            bench.consumer.ack(messages[number])
        assert bench.consumer._new_offset(TP) == (2 * whole if whole else None)


async def test_resuming_what_already_flows_throws_nothing_away(bench: Bench) -> None:
    queue = bench.app.FlowControlQueue(maxsize=4, clear_on_resume=True)
    bench.app.flow_control.resume()
    queue.put_nowait("read after the seek")
    bench.app.flow_control.resume()
    assert queue.qsize() == 1
    bench.app.flow_control.suspend()
    bench.app.flow_control.resume()
    assert queue.empty()
