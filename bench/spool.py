"""What accepting an event into the spool costs: alone, and a hundred at once. ``python -m bench.spool``."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path

from viworks import Spool
from viworks.keys import DataBox
from viworks.spool import Record, SpoolDesk

_ALONE, _TOGETHER, _ROUNDS = 300, 100, 10


def main() -> None:
    """Print both in microseconds an event, on the disk of the working directory."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        alone_us, together_us = asyncio.run(_measured(Path(directory)))
    print(f"event accepted, on disk: alone {alone_us:,.0f} us; {_TOGETHER} at once {together_us:,.0f} us each")


async def _measured(directory: Path) -> tuple[float, float]:
    desk = SpoolDesk(Spool(directory, DataBox(bytes(32))))
    began_s = time.perf_counter()
    for _ in range(_ALONE):
        await desk.append(_event())
    alone_s = (time.perf_counter() - began_s) / _ALONE
    began_s = time.perf_counter()
    for _ in range(_ROUNDS):
        await asyncio.gather(*(desk.append(_event()) for _ in range(_TOGETHER)))
    together_s = (time.perf_counter() - began_s) / (_ROUNDS * _TOGETHER)
    await desk.close()
    return alone_s * 1e6, together_s * 1e6


def _event() -> Record:
    message = {"event_id": str(uuid.uuid4()), "severity": "medium", "details": {"description": "x" * 1_000}}
    return Record(kind="events", message=message)


if __name__ == "__main__":
    main()
