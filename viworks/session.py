"""One session and its reports: its start, its end, and whether it ended by an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType

from viworks.drafts import SessionFacts
from viworks.errors import ClientError

Report = Callable[[SessionFacts, str, int | None], Awaitable[None]]

ACTIVE, DISCONNECTED, TERMINATED, ERROR = "active", "disconnected", "terminated", "error"


def status_at_end(kind: type[BaseException] | None) -> str:
    """``error`` after an exception, ``terminated`` where the session was cut off from outside, else ``disconnected``."""
    if kind is None:
        return DISCONNECTED
    cut_off = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
    return TERMINATED if issubclass(kind, cut_off) else ERROR


class SessionReporting:
    """What ``Client.report_session`` returns: await it for one report, or enter it to have start and end reported.

    Attributes:
        session_id: to be found in SQL.
    """

    def __init__(
        self, facts: SessionFacts, status: str, end_time: int | None, report: Report, now: Callable[[], int]
    ) -> None:
        self.facts = facts
        self._status = status
        self._end_time = end_time
        self._report = report
        self._now = now

    @property
    def session_id(self) -> str:
        return self.facts.session_id

    def __await__(self) -> Generator[None, None, None]:
        return self._once().__await__()

    async def __aenter__(self) -> SessionReporting:
        await self._report(self.facts, ACTIVE, None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_time = max(self._now(), self.facts.start_time)
        report = asyncio.ensure_future(self._report(self.facts, status_at_end(kind), end_time))
        try:
            await asyncio.shield(report)
        except ClientError:
            if kind is None:  # else the session's own error is what the caller has to see
                raise

    async def _once(self) -> None:
        await self._report(self.facts, self._status, self._end_time)
