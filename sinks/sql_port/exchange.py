"""One query from its start to the last byte of its answer: run, recorded, sent, and stopped if its client goes away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.types import Send

from sinks.errors import AuditUnavailable, QueryRefused
from sinks.sql_port import responses
from sinks.sql_port.audit import QueryFacts, Trail
from sinks.sql_port.control import Progress
from sinks.sql_port.execution import QUERY_WAS_CANCELLED, Execution
from sinks.sql_port.guard import refusal
from sinks.sql_port.reader import Answer

SOCKET_TIMEOUT = 209
_MOST_PROGRESS_LINES = 20


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a client wants its answer.

    Attributes:
        hold_bytes: so much of a result is held back before the answer begins, so that an error until then has its status.
        compress_whole: a result that is no stream is compressed here, in ``encoding``.
        progress_interval_s: between the progress headers; zero for none.
    """

    hold_bytes: int
    encoding: str | None = None
    progress_interval_s: float = 0.0


@dataclass(slots=True)
class Exchange:
    """Runs once. ``headers`` are those that every answer has."""

    execution: Execution
    facts: QueryFacts
    trail: Trail
    wishes: Wishes
    headers: dict[str, str]
    format: str
    is_stream: bool
    _progress: list[Progress] = field(default_factory=list)
    _settled: bool = False

    async def run(self, send: Send) -> None:
        """Send the answer. Raises QueryRefused as long as nothing was sent."""
        try:
            await self._run(send)
        except QueryRefused as error:
            await self._record("refused" if error.code in responses.REFUSALS else "failed", error.code)
            raise
        finally:
            # Shielded, since it is the client's going away that cancels the rest.
            await asyncio.shield(self._end())

    async def _run(self, send: Send) -> None:
        await self.execution.start(responses.engine_compression(self.wishes.encoding))
        held, ended = await self._hold()
        if ended:
            answer = await self.execution.answer()
            self._note(answer, len(held))
            await self._record("answered", 0)
            await self._send_whole(send, held, answer)
        else:
            await self._record("began", 0)
            self._settled = False
            await self._send_stream(send, held)

    async def _hold(self) -> tuple[bytes, bool]:
        watching = asyncio.create_task(self._watch()) if self.wishes.progress_interval_s else None
        try:
            held = bytearray()
            while len(held) < self.wishes.hold_bytes:
                piece = await self.execution.read()
                if not piece:
                    return bytes(held), True
                held += piece
            return bytes(held), False
        finally:
            if watching:
                watching.cancel()

    async def _watch(self) -> None:
        while len(self._progress) < _MOST_PROGRESS_LINES:
            await asyncio.sleep(self.wishes.progress_interval_s)
            progress = await self.execution.progress()
            if progress:
                self._progress.append(progress)

    async def _send_whole(self, send: Send, body: bytes, answer: Answer) -> None:
        encoding = self.wishes.encoding
        if encoding and not self.is_stream:
            body, encoding = responses.compressed(body, encoding)
        headers = responses.answer_headers(self.headers, self.format, encoding, responses.summary(answer, len(body)))
        await responses.send_head(send, 200, headers, self._progress, len(body))
        await send({"type": "http.response.body", "body": body})

    async def _send_stream(self, send: Send, held: bytes) -> None:
        tag = responses.exception_tag()
        summary = responses.summary_so_far(await self.execution.progress())
        headers = responses.answer_headers(self.headers, self.format, self.wishes.encoding, summary)
        await responses.send_head(send, 200, {**headers, "X-ClickHouse-Exception-Tag": tag}, self._progress)
        piece = held
        while piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self.facts.size_bytes += len(piece)
            piece = await self.execution.read()
        try:
            answer = await self.execution.answer()
        except QueryRefused as error:
            self._settle("failed", error.code)
            # A compressed answer breaks off; whatever was put behind it would be taken for a part of it.
            broken = b"" if self.wishes.encoding else responses.exception_block(error.text, tag)
            await send({"type": "http.response.body", "body": broken, "more_body": True})
            raise responses.BrokenOff from None
        self._note(answer, self.facts.size_bytes)
        self._settle("answered", 0)
        await send({"type": "http.response.body", "body": b""})

    def _note(self, answer: Answer, size: int) -> None:
        self.facts.rows, self.facts.size_bytes = answer.result_rows, size

    async def _record(self, outcome: str, code: int) -> None:
        self._settled = self.facts.recorded = True
        try:
            await self.trail.record(self.facts, outcome, code)
        except AuditUnavailable:
            text = "The query could not be put on the audit log in time, so it is not answered. (SOCKET_TIMEOUT)"
            raise refusal(SOCKET_TIMEOUT, text) from None

    def _settle(self, outcome: str, code: int) -> None:
        self._settled = self.facts.recorded = True
        self.trail.record_later(self.facts, outcome, code)

    async def _end(self) -> None:
        await self.execution.stop()
        if not self._settled:
            self._settle("cancelled", QUERY_WAS_CANCELLED)
