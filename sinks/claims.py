"""Keeps two sinks from writing the same rows to a server: the newest claim of a partition counts (a fencing token).

A sink that was frozen past its session wakes up with a batch in hand, or its statement is still on its way, while the next
owner of the partition writes the same records in batches that are cut elsewhere. So:

1. Whoever gets a partition writes a claim of its own making, greater than all before, and reads back that it is the newest.
2. It waits until every insert into the table that was running then has ended.
3. Only then does it ask the table what that holds.
4. Each insert checks within its own statement that the claims it was cut under are still the newest, and fails if not.

An insert under a former claim either began before the new one, and has ended by 2, so that 3 sees its rows; or it begins
after, and fails by 4. A server enters a statement into ``system.processes`` before it looks into any table for it, and takes
it out after the last part is in place. No clock and no timeout is part of the argument. All sinks must reach the same
server, as the same user: one sees the statements of its own user only.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from sinks.engine import Session
from sinks.errors import EngineUnavailable, Fenced
from sinks.tables import DATABASE, Table

CLAIMS = f"{DATABASE}.sink_claims"

_POLL_S = 0.02
# Longer than a server lets an insert run (``engine.INSERT_MAX_S``) after it has waited for its body.
_WAIT_S = 120.0


class Claims:
    """The claims of one table's writer. Blocking, for its thread."""

    def __init__(self, table: Table, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._sleep = sleep
        self._claims: dict[int, str] = {}

    def take(self, session: Session, partitions: Sequence[int]) -> None:
        """Claim the partitions; from the return on nobody else's insert brings rows of them.

        Raises:
            Fenced: another sink claimed one of them at the same moment.
            EngineUnavailable: the server does not answer, or an insert of before does not end.
        """
        claim = uuid.uuid4().hex
        session.command(_claim(self._table.topic.name, partitions, claim))
        newest = session.rows(_newest(self._table.topic.name, partitions))
        if sorted(map(tuple, newest)) != [(partition, claim) for partition in sorted(partitions)]:
            raise Fenced("another sink claims the same partitions")
        self._outlast_inserts(session)
        self._claims.update(dict.fromkeys(partitions, claim))

    def forget(self) -> None:
        """Claim anew before the next insert."""
        self._claims.clear()

    @property
    def condition(self) -> str:
        """What an insert has to check: that all claims of this writer are still the newest."""
        pairs = ", ".join(f"({partition}, '{claim}')" for partition, claim in self._claims.items())
        newest = _newest(self._table.topic.name, list(self._claims))
        held = f"SELECT count() FROM ({newest}) WHERE (partition, newest) IN ({pairs})"  # noqa: S608 - our own names
        return f"throwIf(({held}) != {len(self._claims)}) = 0"

    def _outlast_inserts(self, session: Session) -> None:
        # Those of other partitions' owners never cease: each of what runs now has to end, not all at one moment.
        pending = self._running(session)
        waited_s = 0.0
        while pending:
            if waited_s > _WAIT_S:
                raise EngineUnavailable("an insert of before does not end")
            self._sleep(_POLL_S)
            waited_s += _POLL_S
            pending &= self._running(session)

    def _running(self, session: Session) -> set[str]:
        start = f"INSERT INTO {self._table.qualified} "
        found = session.rows(f"SELECT query_id FROM system.processes WHERE startsWith(query, '{start}')")  # noqa: S608
        return {str(query_id) for (query_id,) in found}


def _claim(topic: str, partitions: Sequence[int], claim: str) -> str:
    numbers = ", ".join(map(str, partitions))
    return (
        f"INSERT INTO {CLAIMS} (topic, partition, number, claim) "  # noqa: S608 - integers and our own names
        f"SELECT '{topic}', wanted.place, ifNull(held.newest, 0) + 1, '{claim}' "
        f"FROM (SELECT toInt32(arrayJoin([{numbers}])) AS place) AS wanted "
        f"LEFT JOIN (SELECT partition AS place, max(number) AS newest FROM {CLAIMS} WHERE topic = '{topic}' "
        f"GROUP BY partition) AS held ON held.place = wanted.place"
    )


def _newest(topic: str, partitions: Sequence[int]) -> str:
    numbers = ", ".join(map(str, partitions))
    return (
        f"SELECT partition, argMax(claim, (number, claim)) AS newest FROM {CLAIMS} "  # noqa: S608 - as above
        f"WHERE topic = '{topic}' AND partition IN ({numbers}) GROUP BY partition"
    )
