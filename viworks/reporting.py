"""Findings on their way into the spool, where they are events like any other."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from viworks import drafts, local_mode
from viworks.drafts import Draft
from viworks.errors import CertificateRefused, MessageInvalid, PinMismatch, SpoolError, Unreachable
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

    def note(self, finding: Finding) -> None:
        """Remember a finding until ``write``; also for a client without a spool, whose log alone tells of it."""
        log.warning("%s: %s", finding.kind.value, finding.text)
        if self._desk is not None and len(self._noted) < _MOST_WAITING:
            self._noted.append(finding)

    async def write(self) -> int:
        """Put what was noted and what was lost into the spool; how many events that made. Raises SpoolError."""
        desk = self._desk
        if desk is None:
            return 0
        texts, desk.spool.findings = desk.spool.findings, ()
        for text in texts:
            self.note(Finding(FindingKind.FILES_TAMPERED, text))
        noted, self._noted = self._noted, []
        written = [await self._write(desk, finding) for finding in noted]
        return sum(written) + await self._write_losses(desk)

    async def _write(self, desk: SpoolDesk, finding: Finding) -> bool:
        book, text = entered(self._book, finding, self._clock())
        if text is not None:
            try:
                await desk.append(self._event(finding, text))
            except SpoolError:
                self._noted.append(finding)
                raise
        self._book = book
        await desk.run(lambda: desk.spool.remember(local_mode.book_value(book)))
        return text is not None

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
        await desk.run(lambda: desk.spool.remember(local_mode.book_value(book)))
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
