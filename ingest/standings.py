"""The standing of each client, found by its groups in less time than a heartbeat notices."""

from __future__ import annotations

from functools import lru_cache

from ingest.documents import Documents
from ingest.groups import Groups
from ingest.policies import PolicyBook
from ingest.standing import Standing

_MAX_GROUPS = 100_000
_MAX_STANDINGS = 1_024


class Standings:
    """Standings by groups: bounded, and forgotten as soon as the book has changed."""

    def __init__(self, book: PolicyBook, documents: Documents) -> None:
        self._book = book
        self._computed_at = book.changes
        self._by_groups: dict[Groups, Standing] = {}
        # Clients of many groups share a few standings, and a signature is made once for all of them.
        self._standing_of = lru_cache(_MAX_STANDINGS)(lambda effective: Standing(effective, documents))

    def of(self, groups: Groups) -> Standing:
        """The standing of a client of these groups."""
        if self._computed_at == self._book.changes:
            found = self._by_groups.get(groups)
            if found is not None:
                return found
        return self._compute(groups)

    def _compute(self, groups: Groups) -> Standing:
        if self._computed_at != self._book.changes:
            self._by_groups.clear()
            self._computed_at = self._book.changes
        elif len(self._by_groups) >= _MAX_GROUPS:
            del self._by_groups[next(iter(self._by_groups))]
        found = self._by_groups[groups] = self._standing_of(self._book.effective(groups))
        return found
