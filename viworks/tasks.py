"""What runs in the background must not end without a word."""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger(__name__)


def say_if_failed(task: asyncio.Task[None]) -> None:
    """For ``Task.add_done_callback``: log what ended a task that nobody waits for."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the client's background work ended: %s", type(error).__name__, exc_info=error)
