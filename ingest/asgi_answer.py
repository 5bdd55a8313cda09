"""Answers and problems in ASGI's words: the start of a response, and its whole body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

from ingest import errors
from ingest.answer import Answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Parts = tuple[dict[str, Any], bytes]


def answer_parts(answer: Answer, notice: Mapping[bytes, bytes]) -> Parts:
    """A success, with further headers."""
    headers = {**answer.headers, **notice} if notice else answer.headers
    return _start(answer.status, len(answer.body), b"application/json", tuple(headers.items())), answer.body


def problem_parts(problem: errors.Problem) -> Parts:
    """A problem document."""
    body = problem.body()
    return _start(problem.status, len(body), errors.MEDIA_TYPE, tuple(problem.answer_headers.items())), body


async def send_parts(send: Send, start: dict[str, Any], body: bytes) -> None:
    """Send an answer."""
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: errors.Problem) -> None:
    """Answer with a problem document."""
    await send_parts(send, *problem_parts(problem))


@lru_cache(maxsize=256)
def _start(status: int, length: int, media_type: bytes, extra: tuple[tuple[bytes, bytes], ...]) -> dict[str, Any]:
    """Kept, since most answers are alike: building one costs 1 µs."""
    headers = extra
    if status != 304:
        headers += ((b"content-type", media_type), (b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": status, "headers": headers}
