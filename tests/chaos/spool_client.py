"""A client that reports events until it is killed, and writes down which of them it was told are accepted."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import traceback
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


def live(directory: Path, url: str, client_id: str, seed: int) -> None:
    """Report until killed; the file ``accepted`` has a line for each event whose acceptance was told."""
    asyncio.run(_live(directory, url, client_id, random.Random(seed)))


async def _live(directory: Path, url: str, client_id: str, chance: random.Random) -> None:
    accepted = os.open(directory / "accepted", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with opened(directory, url, client_id) as client:
        client.start(lambda: Metrics(1, 1, 1, 1))
        _say("awake")
        await asyncio.gather(*(_report(client, chance, accepted) for _ in range(2)))


async def _report(client: Client, chance: random.Random, accepted: int) -> None:
    while True:
        text = "x" * chance.randint(1, 2_000)
        event_id = await client.report_event("system_error", chance.choice(_SEVERITIES), text, error_code="chaos")
        # One write, which outlives the process: what is not whole here was not told.
        os.write(accepted, f"{event_id}\n".encode())
        await asyncio.sleep(chance.uniform(0, 0.02))


def bear(directory: Path, url: str, client_id: str) -> None:
    """For each line of standard input, a seed, fork a client; say its process id, and when it is dead.

    A fork of a process that has imported everything costs a fiftieth of a new one.
    """
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _live_to_the_end(directory, url, client_id, int(line))
        _say(f"born {pid}")
        _, status = os.waitpid(pid, 0)
        _say(f"dead {os.waitstatus_to_exitcode(status)}")


def _live_to_the_end(directory: Path, url: str, client_id: str, seed: int) -> None:
    """In a process of its own; whatever ends it but a kill is told before."""
    try:
        live(directory, url, client_id, seed)
    except BaseException:  # noqa: BLE001 - nobody else would tell of it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    bear(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
