"""A part that failed ends, so that the supervisor can start it anew."""

from __future__ import annotations

import subprocess
import sys
import time

PROGRAM = """
import asyncio
from infra import parts

class Settings:
    pass

async def immortal():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def serve(settings, ready):
    task = asyncio.ensure_future(immortal())
    await asyncio.sleep(0)
    raise RuntimeError("a fault")

parts.ENTRIES["stub"] = parts.Entry("__main__:Settings", "__main__:serve", uvloop=False)
parts._LAST_RESORT_S = 1
raise SystemExit(parts.run_part("stub"))
"""


def test_a_failed_part_ends_though_a_task_of_it_does_not() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False)
    assert "stub failed" in done.stderr
    assert done.returncode != 0
    assert time.monotonic() - started < 15
