"""Which queries run, by the ids that their clients know them by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from sinks.sql_port.audit import QueryFacts
from sinks.sql_port.execution import Execution, cancelled
from sinks.sql_port.guard import refusal
from sinks.sql_port.tokens import Bearer

_QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
_ABORTED = 236
_CLOSE_S = 3.0


class Query:
    """One query, from its arrival on."""

    def __init__(self) -> None:
        self._cancelled = False
        self._execution: Execution | None = None

    def runs(self, execution: Execution) -> None:
        """It has its turn. Raises QueryRefused where it was ended before."""
        if self._cancelled:
            raise cancelled()
        self._execution = execution

    def cancel(self) -> asyncio.Task[None] | None:
        """End it; returns the work that this is, if it is any."""
        self._cancelled = True
        return self._execution.cancel() if self._execution else None


class Running:
    """A token's queries are its own: nobody but an admin can end another's, or learn that it runs."""

    def __init__(self) -> None:
        self._queries: dict[tuple[str, str], Query] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @contextlib.contextmanager
    def entered(self, facts: QueryFacts) -> Iterator[Query]:
        """Known meanwhile. Raises QueryRefused where another query of the token has this id."""
        if self._closed:
            raise refusal(_ABORTED, "The server is shutting down. (ABORTED)")
        key = (facts.bearer.name, facts.query_id)
        if key in self._queries:
            raise refusal(
                _QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                "A query with the same id is already running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)",
            )
        query = self._queries[key] = Query()
        try:
            yield query
        finally:
            del self._queries[key]

    def cancel(self, query_id: str, bearer: Bearer) -> bool:
        """End a query; returns whether there is one that the token may end."""
        found = [
            query
            for (name, its_id), query in self._queries.items()
            if its_id == query_id and (name == bearer.name or bearer.role == "admin")
        ]
        self._end(found)
        return bool(found)

    async def close(self) -> None:
        """Let in no more, and end those that run; those that the engine does not end in time are left."""
        self._closed = True
        self._end(list(self._queries.values()))
        if self._ending:
            await asyncio.wait(self._ending, timeout=_CLOSE_S)

    def _end(self, queries: list[Query]) -> None:
        for task in [query.cancel() for query in queries]:
            if task:
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
