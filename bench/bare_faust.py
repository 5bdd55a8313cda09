"""The bound of the liveness worker: a Faust agent that does nothing with each event.

``python -m bench.bare_faust BOOTSTRAP TOPIC COUNT DATA_DIR`` prints the events per second between the first and the last.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from typing import Any

import faust


async def run(bootstrap: str, topic: str, count: int, data_dir: str) -> float:
    """Events per second of a bare agent that reads ``count`` events of the topic from its beginning."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex}",
        broker=f"kafka://{bootstrap}",
        datadir=data_dir,
        store="memory://",
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
    )
    finished: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def agent(stream: Any) -> None:
        seen, started = 0, 0.0
        async for _ in stream:
            seen += 1
            if seen == 1:
                started = time.perf_counter()
            if seen == count and not finished.done():
                finished.set_result((count - 1) / (time.perf_counter() - started))

    app.agent(app.topic(topic, value_serializer="raw", key_serializer="raw"))(agent)
    await app.start()
    try:
        return await asyncio.wait_for(finished, 300)
    finally:
        await app.stop()


if __name__ == "__main__":
    bootstrap, topic, count, data_dir = sys.argv[1:]
    print(asyncio.run(run(bootstrap, topic, int(count), data_dir)))
