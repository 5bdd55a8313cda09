"""How much memory the requests hold that wait for an answer, and when there is too much of it to take more."""

from __future__ import annotations

import secrets

from ingest.errors import Overloaded
from ingest.metrics import IN_FLIGHT_BYTES

# The head, its parsed form and the task of a request, roughly.
HEAD_BYTES = 4096
# The share that only security events may use: what a flood of heartbeats fills must leave them room.
EVENTS_SHARE = 0.25
_MAX_RETRY_AFTER_S = 5


class InFlightBytes:
    """One count for the process. ``held`` is changed by the protocol as bodies come in and answers go out."""

    def __init__(self, limit: int) -> None:
        self.held = 0
        self.limit = limit
        self.open_to_all = int(limit * (1 - EVENTS_SHARE))
        IN_FLIGHT_BYTES.set_function(lambda: self.held)

    def shed(self, *, is_event: bool) -> Overloaded | None:
        """The answer to a request for which there is no room; None where there is."""
        if self.held < (self.limit if is_event else self.open_to_all):
            return None
        # Spread out, so that those who were refused together do not come back together.
        return Overloaded("try again a little later", 1 + secrets.randbelow(_MAX_RETRY_AFTER_S))
