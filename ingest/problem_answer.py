"""An application that gives one answer."""

from __future__ import annotations

from ingest.asgi_answer import Receive, Scope, Send, send_problem
from ingest.errors import Problem


class ProblemAnswer:
    """Answers whatever is asked with one problem, in its turn among the pipelined answers of the connection."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_problem(send, self._problem)
