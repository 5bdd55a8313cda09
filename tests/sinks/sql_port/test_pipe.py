"""A query's pipe is closed once: under uvloop, beside threads that open files all the time, as the engine's do."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import pytest
import uvloop

from sinks.sql_port.control import Control
from sinks.sql_port.execution import Execution
from sinks.sql_port.pipe import PipeReader
from sinks.sql_port.reader import Answer, Prepared, Shape

QUERIES = 1_000
WRITTEN = b"a line\n"


class Select(Prepared):
    """A statement whose result is one line."""

    def __init__(self) -> None:
        self.shape = Shape("", (), is_select=True, masked="", digest="")

    def run_into(self, descriptor: int, compression: str) -> Answer:
        os.write(descriptor, WRITTEN)
        return Answer(b"", "TSV", 0, 0, 0, 0)

    def close(self) -> None:
        return None


@contextmanager
def threads_with_files(number: int) -> Iterator[list[OSError]]:
    """Threads that open, write and close files of their own; the faults that they met."""
    faults: list[OSError] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                descriptor = os.open(os.devnull, os.O_WRONLY)
                for _ in range(20):
                    os.write(descriptor, b"x")
                os.close(descriptor)
            except OSError as error:
                faults.append(error)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work) for _ in range(number)]
    try:
        for thread in threads:
            thread.start()
        yield faults
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval_s)


def test_no_file_of_another_thread_is_closed_with_it() -> None:
    async def queries(workers: ThreadPoolExecutor) -> None:
        for _ in range(QUERIES):
            execution = Execution(Select(), "", cast("Control", None), workers)
            await execution.start("none")
            assert [await execution.read(), await execution.read()] == [WRITTEN, b""]
            await execution.answer()
            await execution.stop()

    with threads_with_files(4) as faults, ThreadPoolExecutor(1) as workers:
        uvloop.run(queries(workers))
    assert faults == []


@pytest.mark.parametrize("factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_whoever_reads_hears_of_its_end(factory: Any) -> None:
    async def closed_while_read() -> bytes:
        pipe = PipeReader()
        reading = asyncio.create_task(pipe.read())
        await asyncio.sleep(0)
        pipe.close()
        pipe.close()
        try:
            with pytest.raises(BrokenPipeError):
                os.write(pipe.target, WRITTEN)
        finally:
            os.close(pipe.target)
        return await asyncio.wait_for(reading, 30)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(closed_while_read()) == b""


@pytest.mark.parametrize("factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_one_who_gave_up_reading_loses_nothing(factory: Any) -> None:
    async def read_again() -> bytes:
        pipe = PipeReader()
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pipe.read(), 0.01)
            os.write(pipe.target, WRITTEN)
            return await asyncio.wait_for(pipe.read(), 30)
        finally:
            os.close(pipe.target)
            pipe.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(read_again()) == WRITTEN
