"""Answers and problems in ASGI's words: the start of a response, and its whole body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from ingest import errors
from ingest.answer import Answer, response_start

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Parts = tuple[dict[str, Any], bytes]


def answer_parts(answer: Answer, notice: Mapping[bytes, bytes]) -> Parts:
    """A success, with further headers."""
    if notice:
        answer = replace(answer, headers={**answer.headers, **notice})
    return answer.start, answer.body


def problem_parts(problem: errors.Problem) -> Parts:
    """A problem document."""
    body = problem.body()
    return response_start(problem.status, len(body), errors.MEDIA_TYPE, tuple(problem.answer_headers.items())), body


async def send_parts(send: Send, start: dict[str, Any], body: bytes) -> None:
    """Send an answer."""
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: errors.Problem) -> None:
    """Answer with a problem document."""
    await send_parts(send, *problem_parts(problem))
