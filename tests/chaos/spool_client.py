"""A client that reports events until it is killed, and writes down which of them it was told are accepted."""

from __future__ import annotations

import asyncio
import os
import random
from multiprocessing.connection import Connection
from pathlib import Path

from viworks import Client, Device, MachineProtector, Metrics, RetryPolicy

_SEVERITIES = ("info", "low", "medium", "high", "critical")
DEVICE = Device("Linux", "6.1", "device", "hash")


def opened(directory: Path, url: str, client_id: str) -> Client:
    """The client of a directory, with a key that does not depend on the machine's keyring."""
    protector = MachineProtector(directory / "machine.secret")
    return Client.open(
        url, client_id, directory / "own", protector=protector, device=DEVICE, retries=RetryPolicy(attempts=1)
    )


def live(directory: Path, url: str, client_id: str, seed: int, wakes: Connection) -> None:
    """Report until killed; the file ``accepted`` has a line for each event whose acceptance was told.

    Args:
        wakes: told once, when it is about to report.
    """
    asyncio.run(_live(directory, url, client_id, random.Random(seed), wakes))


async def _live(directory: Path, url: str, client_id: str, chance: random.Random, wakes: Connection) -> None:
    accepted = os.open(directory / "accepted", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with opened(directory, url, client_id) as client:
        client.start(lambda: Metrics(1, 1, 1, 1))
        wakes.send_bytes(b"!")
        await asyncio.gather(*(_report(client, chance, accepted) for _ in range(2)))


async def _report(client: Client, chance: random.Random, accepted: int) -> None:
    while True:
        text = "x" * chance.randint(1, 2_000)
        event_id = await client.report_event("system_error", chance.choice(_SEVERITIES), text, error_code="chaos")
        # One write, which outlives the process: what is not whole here was not told.
        os.write(accepted, f"{event_id}\n".encode())
        await asyncio.sleep(chance.uniform(0, 0.02))
