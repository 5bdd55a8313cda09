"""Waiting in tests: for a condition, with a deadline, never for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 4
"""A deadline tells what hangs from what is slow. A slow machine, or a busy one, gets so many times as long."""


async def eventually(condition: Callable[[], T | Awaitable[T]], within_s: float, what: str = "") -> T:
    """Call until the result is truthy and return it. Raises AssertionError after ``PATIENCE`` times ``within_s`` seconds."""
    return await promised(condition, within_s * PATIENCE, what)


async def promised(condition: Callable[[], T | Awaitable[T]], within_s: float, what: str = "") -> T:
    """The same where the time is what is claimed: not a second longer."""
    deadline = time.monotonic() + within_s
    while True:
        result = condition()
        value: T = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what or condition}")
        await asyncio.sleep(0.02)
