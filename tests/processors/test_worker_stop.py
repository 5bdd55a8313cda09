"""A worker ends in bounded time also where its broker is gone: a supervisor can only start anew what has ended."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from infra.kafka import EmbeddedKafka

PROGRAM = """
import asyncio, signal, sys
from pathlib import Path
from processors.settings import ProcessorSettings
from processors.worker import serve

async def main():
    settings = ProcessorSettings(kafka=sys.argv[1], data_dir=Path(sys.argv[2]), stop_timeout_s=1)
    task = asyncio.ensure_future(serve(settings, lambda: print("ready", flush=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait([task])

asyncio.run(main())
"""


async def test_a_worker_without_its_broker_ends(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, own_kafka.bootstrap, tmp_path / "worker",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        own_kafka.kill()
        await own_kafka.wait()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
