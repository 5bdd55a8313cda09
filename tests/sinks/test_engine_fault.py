"""A fault in one of the embedded engine's own threads: the sink ends at once, and the next one has every row once."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import uuid
from pathlib import Path

from infra.kafka import EmbeddedKafka
from tests.sinks.samples import event, now_ms, row
from tests.sinks.sink_process import SinkProcess, produce

THREADS = "BgSchPool"
ROWS = 40


def signal_thread(pid: int, thread: int, number: signal.Signals) -> None:
    """tgkill(2): what the kernel sends the thread that made a fault."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.tgkill(pid, thread, int(number)) == 0, os.strerror(ctypes.get_errno())


def threads_of(pid: int, name: str) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name]


async def test_the_sink_ends_and_the_next_one_has_each_row_once(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    client_id = f"fault-{uuid.uuid4()}"
    async with SinkProcess(kafka.bootstrap, tmp_path, client_id) as sink:
        await produce(kafka.bootstrap, [row("event", event(client_id, f"{each}"), 0) for each in range(ROWS)])
        client = await sink.client()
        await sink.count(client, "events", client_id, 1, 30)
        await asyncio.to_thread(client.close)
        sent = [row("event", event(client_id, f"late-{each}", timestamp=now_ms()), 0) for each in range(ROWS)]
        producing = asyncio.create_task(produce(kafka.bootstrap, sent))
        signal_thread(sink.pid, threads_of(sink.pid, THREADS)[0], signal.SIGSEGV)
        assert await sink.ended() == -signal.SIGSEGV
        await producing
        assert "most recent call first" in sink.log.read_text(), "it says what ran"
        await sink.start()
        client = await sink.client()
        assert await sink.count(client, "events", client_id, 2 * ROWS, 30) == 2 * ROWS
        await asyncio.to_thread(client.close)
        assert await sink.stop() == 0
    rows = f"SELECT count() FROM viworks.events WHERE client_id = '{client_id}'"
    assert await sink.ask_files(rows) == str(2 * ROWS), "without FINAL there is no second one either"
