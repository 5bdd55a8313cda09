"""How many queries run at once: so many in all, fewer for one token, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sinks.sql_port.guard import refusal

TOO_MANY_SIMULTANEOUS_QUERIES = 202
_WAITING_FOR_EACH = 16


class Slots:
    """Turns are given in the order of arrival. A token's own limit comes first, so that one cannot hold all turns."""

    def __init__(self, in_all: int, per_token: int, wait_s: float) -> None:
        self._all = asyncio.Semaphore(in_all)
        self._per_token = per_token
        self._wait_s = wait_s
        self._tokens: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextlib.asynccontextmanager
    async def slot(self, token: str) -> AsyncIterator[None]:
        """A turn for one query. Raises QueryRefused where none is free within the time, or too many wait already."""
        own, present = self._tokens.get(token, (asyncio.Semaphore(self._per_token), 0))
        if present >= self._per_token + _WAITING_FOR_EACH:
            raise _too_many()
        self._tokens[token] = (own, present + 1)
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(self._wait_s):
                        await stack.enter_async_context(own)
                        await stack.enter_async_context(self._all)
                except TimeoutError:
                    raise _too_many() from None
                yield
        finally:
            self._leave(token)

    def _leave(self, token: str) -> None:
        own, present = self._tokens[token]
        if present == 1:
            del self._tokens[token]
        else:
            self._tokens[token] = (own, present - 1)


def _too_many() -> Exception:
    return refusal(
        TOO_MANY_SIMULTANEOUS_QUERIES, "Too many simultaneous queries for the user. (TOO_MANY_SIMULTANEOUS_QUERIES)"
    )
