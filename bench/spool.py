"""What the spool costs: accepting an event alone and a hundred at once, opening a full one, and choosing a batch of it.

``python -m bench.spool``
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from viworks import Spool
from viworks.keys import DataBox
from viworks.spool import Record, SpoolDesk

_ALONE, _TOGETHER, _ROUNDS = 300, 100, 10
_FULL, _BATCH, _REPEATS = 20_000, 500, 5


def main() -> None:
    """Print it, on the disk of the working directory.

    The full one is measured in processor time, its opening against reading and decrypting each record.
    """
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        alone_us, together_us = asyncio.run(_measured(Path(directory)))
    print(f"event accepted, on disk: alone {alone_us:,.0f} us; {_TOGETHER} at once {together_us:,.0f} us each")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        opened_s, decrypted_s, chosen_s = _full(Path(directory))
    print(
        f"spool of {_FULL:,} events: opened and checked in {opened_s * 1e3:,.0f} ms (reading and decrypting it: "
        f"{decrypted_s / opened_s:.1f} times that); a batch of {_BATCH} chosen and read in {chosen_s * 1e3:,.1f} ms"
    )


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


def _full(directory: Path) -> tuple[float, float, float]:
    """Opening, decrypting everything, and choosing a batch, in seconds of processor time: the best of a few."""
    box = DataBox(bytes(32))
    spool = Spool(directory, box)
    for _ in range(_FULL // _BATCH):
        spool.append([_event() for _ in range(_BATCH)])
    spool.close()
    opened_s = min(_spent(lambda: Spool(directory, box).close()) for _ in range(_REPEATS))
    spool = Spool(directory, box)
    decrypted_s = min(_spent(lambda: spool.waiting(_FULL, 1 << 40)) for _ in range(_REPEATS))
    chosen_s = min(_spent(lambda: spool.waiting(_BATCH, 1 << 40)) for _ in range(_REPEATS))
    spool.close()
    return opened_s, decrypted_s, chosen_s


def _spent(call: Callable[[], object]) -> float:
    began_s = time.process_time()
    call()
    return time.process_time() - began_s


def _event() -> Record:
    message = {"event_id": str(uuid.uuid4()), "severity": "medium", "details": {"description": "x" * 1_000}}
    return Record(kind="events", message=message)


if __name__ == "__main__":
    main()
