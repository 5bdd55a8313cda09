"""When a worker counts as stalled: decided without a broker, and seen on a real one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.kafka import EmbeddedKafka
from processors.errors import WorkerStalled
from processors.outbox import Outbox
from processors.watchdog import Offsets, Progress, Worker, watch
from schemas.topics import ALERTS, EVENTS
from tests.processors.harness import Lab, worker_settings, working
from tests.processors.samples import a_client, event

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
STALL_S = 60.0


def looks(progress: Progress, *offsets: dict[TopicPartition, Offsets] | None, generation: int = 1) -> list[list[Any]]:
    """A look every 10 s."""
    return [progress.observe(10.0 * number, generation, each) for number, each in enumerate(offsets, 1)]


def test_lag_without_a_commit_is_a_stall_after_its_time() -> None:
    found = looks(Progress(STALL_S), *[{A: Offsets(5, 9 + number), B: Offsets(number, 99)} for number in range(8)])
    assert found == [[]] * 6 + [[A]] * 2


def test_a_group_that_never_committed_may_be_stalled_too() -> None:
    assert looks(Progress(STALL_S), *[{A: Offsets(None, 3)}] * 7)[-1] == [A]


@pytest.mark.parametrize("at", [Offsets(9, 9), Offsets(None, 0)])
def test_a_topic_without_records_is_no_stall(at: Offsets) -> None:
    assert looks(Progress(STALL_S), *[{A: at}] * 20) == [[]] * 20


def test_a_commit_now_and_then_is_no_stall() -> None:
    assert looks(Progress(STALL_S), *[{A: Offsets(number // 5, 99)} for number in range(30)]) == [[]] * 30


def test_a_record_after_a_long_idle_time_has_its_whole_time() -> None:
    idle, late = [{A: Offsets(9, 9)}] * 20, [{A: Offsets(9, 10)}] * 6
    assert looks(Progress(STALL_S), *idle, *late) == [[]] * 26


def test_after_a_rebalance_time_counts_anew() -> None:
    progress, lag = Progress(STALL_S), {A: Offsets(5, 9)}
    found = [progress.observe(10.0 * number, number // 6, lag) for number in range(30)]
    assert found == [[]] * 30
    regained = [progress.observe(300.0 + 10 * number, 5, lag if number != 3 else {}) for number in range(9)]
    assert regained == [[]] * 9


def test_a_broker_that_does_not_answer_says_nothing() -> None:
    lag = {A: Offsets(5, 9)}
    assert looks(Progress(STALL_S), *[lag] * 6, None, *[lag] * 6) == [[]] * 13


def test_a_pause_of_the_process_is_not_the_workers_fault() -> None:
    progress, lag = Progress(STALL_S), {A: Offsets(5, 9)}
    assert [progress.observe(now_s, 1, lag) for now_s in (10, 20, 600, 610, 650)] == [[]] * 5


async def test_a_worker_whose_agent_hangs_is_ended_and_the_next_one_goes_on(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = worker_settings(kafka.bootstrap, tmp_path, stall_after_s=4.0, stop_timeout_s=1.0)
    client, hangs = a_client(), asyncio.Event()

    async def hang(self: Outbox, records: Any) -> None:
        if list(records):
            hangs.set()
            await asyncio.Event().wait()

    async with Lab(kafka.bootstrap) as lab:
        async with working(settings) as task:
            # As long as it has nothing to do it is left alone.
            done, _ = await asyncio.wait([task], timeout=1.5 * settings.stall_after_s)
            assert not done
            monkeypatch.setattr(Outbox, "write", hang)
            await lab.send(EVENTS, event(client, severity="high"))
            # All agents write through it, so what it names is any partition that had something to read.
            with pytest.raises(WorkerStalled, match=r"^viworks\.[a-z-]+\.v1-\d+: nothing committed"):
                await asyncio.wait_for(asyncio.shield(task), 30)
            assert hangs.is_set()
        monkeypatch.undo()
        async with working(settings):
            await lab.wait_for(ALERTS, client_id=client)


async def test_marks_of_transactions_are_nothing_to_read(kafka: EmbeddedKafka) -> None:
    """They take offsets that no reader gets, so a committed offset may stay behind the end for ever."""
    topic, group = "watchdog-marks", "watchdog-marks"
    tp = TopicPartition(topic, 0)
    await _create(kafka.bootstrap, topic)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id="watchdog") as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"v", partition=0)
        await _commit(kafka.bootstrap, group, tp, 1)
        worker = Worker(lambda: [tp], lambda: 1)
        watching = asyncio.create_task(watch(kafka.bootstrap, group, worker, 1.0))
        done, _ = await asyncio.wait([watching], timeout=4)
        assert not done
        async with producer.transaction():
            await producer.send_and_wait(topic, b"v", partition=0)
        with pytest.raises(WorkerStalled):
            await asyncio.wait_for(watching, 30)


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def _commit(bootstrap: str, group: str, tp: TopicPartition, offset: int) -> None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([tp])
        await consumer.commit({tp: offset})
