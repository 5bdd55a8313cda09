"""Which queries run, by the ids that their clients know them by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from sinks.sql_port.audit import QueryFacts
from sinks.sql_port.execution import Execution
from sinks.sql_port.guard import refusal
from sinks.sql_port.tokens import Bearer

_QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216


class Running:
    """A token's queries are its own: nobody but an admin can end another's, or learn that it runs."""

    def __init__(self) -> None:
        self._queries: dict[tuple[str, str], Execution] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def entered(self, facts: QueryFacts, execution: Execution) -> Iterator[None]:
        """Known meanwhile. Raises QueryRefused where another query of the token runs under this id."""
        key = (facts.bearer.name, facts.query_id)
        if key in self._queries:
            raise refusal(
                _QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                "A query with the same id is already running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)",
            )
        self._queries[key] = execution
        try:
            yield
        finally:
            del self._queries[key]

    def cancel(self, query_id: str, bearer: Bearer) -> bool:
        """End a query; returns whether there is one that the token may end."""
        found = [
            execution
            for (name, running_id), execution in self._queries.items()
            if running_id == query_id and (name == bearer.name or bearer.role == "admin")
        ]
        for execution in found:
            task = execution.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        return bool(found)
