"""Waiting for a condition with a deadline, in place of sleeps of a fixed length."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.deadline import PATIENCE

T = TypeVar("T")

_POLL_S = 0.02


def eventually(condition: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """Return the first true value of ``condition``; fail with ``what`` after ``PATIENCE`` times ``timeout_s`` seconds."""
    deadline = time.monotonic() + PATIENCE * timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE * timeout_s:.0f} s: {what}")
        time.sleep(_POLL_S)


def alive(pid: int) -> bool:
    """Whether a process runs. One that ended and was not yet collected by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
