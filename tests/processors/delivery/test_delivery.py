"""From the topic to the receivers, on the real broker."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from processors.clock import system_clock
from processors.delivery.receivers_file import read_receivers
from processors.delivery.runner import Runner
from processors.delivery.senders import sender_of
from schemas.topics import ALERTS
from tests.deadline import eventually
from tests.processors.delivery.harness import Bench, DeadLetterProbe
from tests.processors.delivery.http_receiver import HttpReceiver, never, receiving, status
from tests.processors.delivery.samples import record, write

log = logging.getLogger(__name__)

ALERTS_SENT = 200
P99_S = 0.25
KILLS = 10
COMMAND = (sys.executable, "-m", "infra", "run", "delivery")


def ids(receiver: HttpReceiver) -> list[str]:
    return [request.headers["webhook-id"] for request in receiver.requests]


def delivery_id(row: dict[str, Any]) -> str:
    return f"{row['alert_id']}.{row['status']}"


async def test_a_dead_and_a_hanging_receiver_delay_nobody(bench: Bench, receiver: HttpReceiver) -> None:
    async with receiving() as hanging:
        hanging.answer = never
        bench.add(hanging, "hangs", timeout_s=30)
        bench.add(f"http://127.0.0.1:{free_port()}", "dead")
        bench.add(receiver, "works")
        async with bench.delivering(delivery_window=20):
            written: dict[str, float] = {}
            for _ in range(ALERTS_SENT):
                row = record(rule=bench.rule)
                written[delivery_id(row)] = time.time()
                await write(bench.producer, row)
            await eventually(lambda: len(receiver.requests) >= ALERTS_SENT, 10)
            assert len(hanging.requests) > 0
    assert Counter(ids(receiver)) == Counter(list(written))
    behind = sorted(request.at_s - written[request.headers["webhook-id"]] for request in receiver.requests)
    p99_s = behind[int(0.99 * len(behind))]
    log.info("written to received, p99 of %d: %.0f ms", ALERTS_SENT, p99_s * 1000)  # shown by --log-cli-level=INFO
    assert p99_s <= P99_S


async def test_the_statuses_of_an_alert_come_in_order_and_what_is_suppressed_does_not(
    bench: Bench, receiver: HttpReceiver
) -> None:
    name = bench.add(receiver, "works")
    receiver.answers = [status(503), status(500), status(429)]
    async with bench.delivering():
        rows = []
        for number in range(10):
            row = record(rule=bench.rule, suppressed_by="silence:1" if number % 3 == 2 else None)
            states = ("suppressed" if row["suppressed_by"] else "firing", "acknowledged", "resolved")
            for state in states:
                rows.append({**row, "status": state})
                await write(bench.producer, rows[-1])
        wanted = [delivery_id(row) for row in rows if not row["suppressed_by"]]
        await eventually(lambda: set(ids(receiver)) >= set(wanted), 10, name)
    assert set(ids(receiver)) == set(wanted)
    assert len(receiver.requests) == len(wanted) + 3
    taken = [request.headers["webhook-id"] for request in receiver.requests[3:]]
    for alert_id in {row["alert_id"] for row in rows}:
        own = list(dict.fromkeys(found for found in ids(receiver) if found.startswith(alert_id)))
        assert own == [found for found in wanted if found.startswith(alert_id)]
    assert len(taken) == len(wanted)


async def test_a_retry_waits_as_long_as_it_is_told(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "busy")
    receiver.answers = [status(429, "Retry-After: 1")]
    async with bench.delivering():
        await bench.fire()
        await eventually(lambda: len(receiver.requests) == 1, 5)
        await bench.fire(client_id="another")
        await eventually(lambda: len(receiver.requests) == 3, 5)
    first, *later = receiver.requests
    assert min(request.at_s for request in later) - first.at_s >= 0.95, "Retry-After holds for all that the receiver gets"
    again = [request for request in later if request.headers["webhook-id"] == first.headers["webhook-id"]]
    assert [request.body for request in again] == [first.body]
    assert again[0].headers["webhook-timestamp"] != first.headers["webhook-timestamp"]


async def test_what_is_refused_becomes_a_dead_letter_and_comes_back_to_that_receiver_alone(
    bench: Bench, receiver: HttpReceiver, dead: DeadLetterProbe
) -> None:
    async with receiving() as other:
        name = bench.add(receiver, "strict")
        bench.add(other, "other")
        receiver.answers = [status(422)]
        async with bench.delivering():
            row = await bench.fire()
            await eventually(lambda: dead.of(name), 10)
            [(headers, letter)] = await dead.of(name)
            assert set(headers) == {"topic", "partition", "offset", "error", "receiver"}
            assert (headers["topic"], headers["error"]) == (ALERTS.name, "422")
            assert letter.key == row["client_id"].encode()
            await eventually(lambda: len(other.requests) == 1, 5)
            await bench.producer.send_and_wait(
                headers["topic"], letter.value, key=letter.key, headers=[("receiver", name.encode())]
            )
            await eventually(lambda: len(receiver.requests) == 2, 5)
            last = await bench.fire()
            await eventually(lambda: len(receiver.requests) == 3 and len(other.requests) == 2, 5)
    assert ids(other) == [delivery_id(row), delivery_id(last)]
    assert ids(receiver) == [delivery_id(row), delivery_id(row), delivery_id(last)]


async def test_what_is_no_alert_becomes_a_dead_letter_and_its_neighbours_go_on(
    bench: Bench, receiver: HttpReceiver, dead: DeadLetterProbe
) -> None:
    name = bench.add(receiver, "works")
    async with bench.delivering():
        rows = [record(rule=bench.rule, client_id="c") for _ in range(5)]
        poison = [b"", b"\0\0\0\0\1 no such schema", b"x" * 1000, None]
        for row, value in zip(rows, [*poison, b"\0"], strict=True):
            await bench.producer.send_and_wait(ALERTS.name, value, key=b"c")
            await write(bench.producer, row)
        await eventually(lambda: len(receiver.requests) == len(rows), 10)

        async def buried() -> bool:
            return len(await dead.of(name)) >= len(poison) + 1

        await eventually(buried, 10)
        found = await dead.of(name)
    assert [headers["error"] for headers, _ in found] == ["CodecError"] * 5
    assert sorted(letter.value or b"" for _, letter in found) == sorted([value or b"" for value in poison] + [b"\0"])


async def test_what_cannot_be_delivered_in_time_is_given_up(
    bench: Bench, receiver: HttpReceiver, dead: DeadLetterProbe
) -> None:
    name = bench.add(receiver, "down", give_up_after="1s")
    receiver.answer = status(503)
    async with bench.delivering():
        first = await bench.fire()
        await eventually(lambda: dead.of(name), 10)
        receiver.answer = status(200)
        last = await bench.fire()
        await eventually(lambda: delivery_id(last) in ids(receiver), 5)
    [(headers, _)] = await dead.of(name)
    assert headers["error"] == "503"
    assert ids(receiver).count(delivery_id(first)) >= 2


async def test_a_receiver_that_is_gone_gets_nothing_until_its_entry_changes(bench: Bench, receiver: HttpReceiver) -> None:
    async with receiving() as other:
        name = bench.add(receiver, "leaving")
        bench.add(other, "other")
        receiver.answers = [status(410)]
        async with bench.delivering():
            first = await bench.fire()
            await eventually(lambda: len(receiver.requests) == 1, 5)
            second = await bench.fire()
            await eventually(lambda: len(other.requests) == 2, 5)
            assert len(receiver.requests) == 1
            bench.change(name, timeout_s=2)
            await eventually(lambda: len(receiver.requests) == 3, 15)
    assert set(ids(receiver)[1:]) == {delivery_id(first), delivery_id(second)}


async def test_a_restart_loses_nothing_and_repeats_nothing_that_is_done(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "works", timeout_s=30)
    async with bench.delivering():
        done = [await bench.fire() for _ in range(20)]
        await eventually(lambda: len(receiver.requests) == 20, 5)
        receiver.answer = never
        pending = [await bench.fire(client_id=client_id) for client_id in "abc"]
        await eventually(lambda: len(receiver.requests) == 23, 5)
        receiver.answer = status(200)
        done += [await bench.fire(client_id=client_id) for client_id in "abc" * 5]  # behind the pending ones
        await eventually(lambda: len(receiver.requests) == 38, 5)
    away = [await bench.fire() for _ in range(3)]
    async with bench.delivering():
        await eventually(lambda: len(receiver.requests) >= 44, 10)
        last = await bench.fire()
        await eventually(lambda: delivery_id(last) in ids(receiver), 5)
    counts = Counter(ids(receiver))
    assert all(counts[delivery_id(row)] == 1 for row in [*away, last])
    assert all(counts[delivery_id(row)] == 2 for row in pending)
    assert all(counts[delivery_id(row)] == 1 for row in done)


async def test_a_new_receiver_gets_what_comes_from_now_on(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "new")
    await bench.fire()
    async with bench.delivering():
        later = await bench.fire()
        await eventually(lambda: receiver.requests, 5)
    between = await bench.fire()
    async with bench.delivering():
        await eventually(lambda: len(receiver.requests) == 2, 10)
    assert ids(receiver) == [delivery_id(later), delivery_id(between)]


async def test_a_full_window_holds_back_and_loses_nothing(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "slow", timeout_s=0.3)
    receiver.answer = never
    async with bench.delivering(delivery_window=5, delivery_concurrency=2):
        rows = [await bench.fire() for _ in range(40)]
        await eventually(lambda: len(receiver.requests) >= 6, 10)
        assert len(set(ids(receiver))) <= 5
        receiver.answer = status(200)
        await eventually(lambda: set(ids(receiver)) == {delivery_id(row) for row in rows}, 15)


async def test_processes_share_a_receiver_and_lose_nothing_when_one_comes_or_goes(
    bench: Bench, receiver: HttpReceiver
) -> None:
    bench.add(receiver, "shared")
    rows = []
    async with bench.delivering():
        async with bench.delivering():
            rows += [await bench.fire() for _ in range(50)]
        rows += [await bench.fire() for _ in range(50)]
        await eventually(lambda: set(ids(receiver)) >= {delivery_id(row) for row in rows}, 20)
    assert len(receiver.requests) <= len(rows) + 30, "what is delivered is committed when partitions change hands"


async def test_a_consumer_that_stalls_is_replaced(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "works")
    settings = bench.settings(delivery_stall_s=1.0)
    runner = Runner(sender_of(read_receivers(bench.path)[0], system_clock), settings, system_clock)
    task = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(runner.joined.wait(), 30)
        first = await bench.fire()
        await eventually(lambda: ids(receiver) == [delivery_id(first)], 5)
        consumer = runner.session.consumer if runner.session else None
        assert consumer is not None
        consumer.pause(*consumer.assignment())  # from now on it brings nothing, without an error
        second = await bench.fire()
        await eventually(lambda: ids(receiver) == [delivery_id(first), delivery_id(second)], 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.close()


@pytest.mark.long
async def test_a_broker_that_was_away_is_read_on(own_kafka: EmbeddedKafka, receiver: HttpReceiver, tmp_path: Path) -> None:
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        bench = Bench(own_kafka.bootstrap, tmp_path, producer)
        bench.add(receiver, "works")
        async with bench.delivering():
            first = await bench.fire()
            await eventually(lambda: ids(receiver) == [delivery_id(first)], 10)
            await own_kafka.stop()
            await own_kafka.start()
            second = await bench.fire()
            await eventually(lambda: delivery_id(second) in ids(receiver), 60)


@pytest.mark.long
async def test_a_killed_process_loses_nothing_and_its_log_tells_nothing(
    bench: Bench, receiver: HttpReceiver, tmp_path: Path
) -> None:
    bench.add(receiver.url + "/t0ken", "works")
    settings = bench.settings()
    environment = {**os.environ, "VIWORKS_KAFKA": settings.kafka, "VIWORKS_RECEIVERS": str(settings.receivers)}
    rows: list[dict[str, Any]] = []
    with (tmp_path / "delivery.log").open("wb") as lines:
        for kill in range(KILLS + 1):
            process = await asyncio.create_subprocess_exec(*COMMAND, env=environment, stderr=lines)
            try:
                # What was written before the first start is not for a new receiver.
                fired = rows if kill else []
                await eventually(functools.partial(hears, bench, receiver, len(receiver.requests), fired), 30)
                rows += [await bench.fire() for _ in range(200)]
                if kill == KILLS:
                    await eventually(functools.partial(has_all, receiver, rows), 30)
            finally:
                process.kill()
                await process.wait()
    log.info("%d kills, %d alerts, %d repeated", KILLS, len(rows), len(receiver.requests) - len(rows))
    written = (tmp_path / "delivery.log").read_text()
    assert "alerts go to works" in written
    assert "t0ken" not in written
    assert not [row for row in rows if row["alert_id"] in written]


def has_all(receiver: HttpReceiver, rows: list[dict[str, Any]]) -> bool:
    return set(ids(receiver)) >= {delivery_id(row) for row in rows}


async def hears(bench: Bench, receiver: HttpReceiver, before: int, rows: list[dict[str, Any]]) -> bool:
    """Fire one more; whether anything has come since."""
    rows.append(await bench.fire())
    return len(receiver.requests) > before


async def test_alertmanager_hears_again_what_fires_also_after_a_restart(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "manager", type="alertmanager")
    async with bench.delivering(delivery_resend_s=0.3):
        row = await bench.fire(severity="high")
        ended = await bench.fire()
        await write(bench.producer, {**ended, "status": "resolved"})
        await eventually(lambda: len(receiver.requests) >= 3, 5)
        await eventually(lambda: len(receiver.requests) >= 5, 5)
    receiver.requests.clear()
    async with bench.delivering(delivery_resend_s=0.3):
        await eventually(lambda: len(receiver.requests) >= 2, 5)
        told = [posted for request in receiver.requests for posted in request.json()]
        assert {posted["labels"]["alert_id"] for posted in told} == {row["alert_id"]}
        await write(bench.producer, {**row, "status": "resolved", "severity": "low", "timestamp": row["timestamp"] + 7})
        await eventually(lambda: receiver.requests[-1].json()[0]["annotations"]["status"] == "resolved", 5)
    last = receiver.requests[-1].json()[0]
    assert last["labels"] == told[0]["labels"]
    assert last["startsAt"] == told[0]["startsAt"]
    assert last["endsAt"] < told[0]["endsAt"]


def value(metric: str, receiver: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"viworks_delivery_{metric}", {"receiver": receiver, **labels})


async def test_what_becomes_of_alerts_is_counted(bench: Bench, receiver: HttpReceiver) -> None:
    name = bench.add(receiver, "counted", timeout_s=30)
    async with bench.delivering():
        gauges = ("delivered_total", "lag", "oldest_undelivered_seconds", "paused")
        assert {value(metric, name) for metric in gauges} == {0}
        receiver.answers = [status(503), status(204), status(400), never]
        for count in (2, 3, 4):
            await bench.fire()
            await eventually(lambda expected=count: len(receiver.requests) == expected, 5)  # type: ignore[misc]
        await eventually(lambda: value("dead_total", name, reason="400") == 1, 10)
        await eventually(lambda: (value("oldest_undelivered_seconds", name) or 0) > 0.5, 5)
        await eventually(lambda: value("lag", name) == 1, 5)
        assert value("delivered_total", name) == value("latency_seconds_count", name) == 1
        assert value("retried_total", name, reason="503") == 1
        receiver.answer = status(410)
        await bench.fire()
        await eventually(lambda: value("paused", name) == 1, 5)
    assert value("paused", name) is None
    assert value("delivered_total", name) == 1


async def test_the_receivers_file_is_followed_and_a_broken_one_changes_nothing(bench: Bench, receiver: HttpReceiver) -> None:
    bench.add(receiver, "first")
    async with bench.delivering(), receiving() as other:
        await bench.fire()
        await eventually(lambda: len(receiver.requests) == 1, 5)
        bench.path.write_text("receivers: [{name: X")
        await bench.fire()
        await eventually(lambda: len(receiver.requests) == 2, 5)
        bench.add(other, "second")

        async def heard() -> bool:
            await bench.fire()
            return len(other.requests) > 0

        await eventually(heard, 10)
        assert len(receiver.requests) >= 3
