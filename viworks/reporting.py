"""Findings on their way into the spool, where they are events like any other."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from viworks import drafts, local_mode
from viworks.drafts import Draft
from viworks.errors import CertificateRefused, MessageInvalid, PinMismatch, Unreachable
from viworks.findings import Book, Finding, FindingKind, entered
from viworks.spool import Record, SpoolDesk

log = logging.getLogger(__name__)
_MOST_WAITING = 64
Protect = Callable[[Draft], Record]


def finding_of(error: Unreachable) -> Finding | None:
    """What a failed connection says of whoever answered in the server's place; None for a mere absence."""
    if isinstance(error, PinMismatch):
        presented = ", ".join(error.presented[:3])
        return Finding(
            FindingKind.PIN_MISMATCH, f"a server with other keys answered; nothing was sent. Its pins: {presented}"
        )
    if isinstance(error, CertificateRefused):
        return Finding(FindingKind.CERTIFICATE_REFUSED, f"the server's certificate was refused: {error.reason[:200]}")
    return None


class Reporting:
    """Notes findings, each kind at most a few times an hour, and counts that say what was lost."""

    def __init__(
        self, client_id: str, desk: SpoolDesk | None, book: Book, clock: Callable[[], int], protect: Protect
    ) -> None:
        self._client_id = client_id
        self._desk = desk
        self._book = book
        self._clock = clock
        self._protect = protect
        self._noted: list[Finding] = []
        self._writing = asyncio.Lock()

    def note(self, finding: Finding) -> None:
        """Remember a finding until ``write``, unless it is a repetition. Of a client without a spool only its log tells."""
        self._book, text = entered(self._book, finding, self._clock())
        if text is None:
            return
        log.warning("%s: %s", finding.kind.value, text)
        if self._desk is not None and len(self._noted) < _MOST_WAITING:
            self._noted.append(Finding(finding.kind, text))

    async def write(self, *, losses: bool) -> int:
        """Put what was noted into the spool; how many events that made. Raises SpoolError.

        Args:
            losses: also exchange the count of losses for an event. Not while the server is away: in a spool that
                overflows it would be the next to go.
        """
        if self._desk is None:
            return 0
        async with self._writing:
            return await self._write(self._desk, losses)

    async def _write(self, desk: SpoolDesk, losses: bool) -> int:
        for text in desk.spool.taken_findings():
            self.note(Finding(FindingKind.FILES_TAMPERED, text))
        written = 0
        while self._noted and await self._offered(desk, self._event(self._noted[0], self._noted[0].text)):
            del self._noted[0]
            written += 1
        if losses:
            written += await self._write_losses(desk)
        if written:
            book = self._book
            await desk.run(lambda: desk.spool.remember(local_mode.book_value(book)))
        return written

    async def _offered(self, desk: SpoolDesk, record: Record) -> bool:
        """Whether the spool took it; one that is full of what is graver has room for it later."""
        return await desk.run(lambda: desk.spool.offer(record))

    async def _write_losses(self, desk: SpoolDesk) -> bool:
        """At most once an hour: a spool that overflows all day is one thing that happened."""
        losses = desk.spool.census.losses
        if not losses:
            return False
        listed = ", ".join(f"{count} {name}" for name, count in sorted(losses.items()))
        book, text = entered(self._book, Finding(FindingKind.LOSSES, "lost"), self._clock())
        if text is None:
            return False
        record = self._event(Finding(FindingKind.LOSSES, ""), f"messages that did not reach the server: {listed}")
        if not await desk.run(lambda: desk.spool.report_losses(losses, record)):
            return False
        self._book = book
        return True

    def _event(self, finding: Finding, text: str) -> Record:
        members = {
            "event_id": str(uuid.uuid4()),
            "event_type": finding.event_type,
            "severity": finding.severity,
            "timestamp": self._clock(),
        }
        try:
            return self._protect(drafts.event(self._client_id, members, text, {"error_code": finding.kind.value}))
        except MessageInvalid:  # a text from outside that is no UTF-8
            return self._protect(drafts.event(self._client_id, members, finding.kind.value, {}))
