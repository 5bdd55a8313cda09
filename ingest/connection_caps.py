"""How many connections are open, by address and together."""

from __future__ import annotations

from ingest.metrics import CONNECTIONS, CONNECTIONS_REFUSED


class ConnectionCaps:
    """Counts connections from their acceptance to their end, TLS handshakes included."""

    def __init__(self, per_address: int, total: int) -> None:
        self._per_address = per_address
        self._total = total
        self._open = 0
        self._by_address: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more, unless its address or the process has all that it may have."""
        mine = self._by_address.get(address, 0)
        if self._open >= self._total or mine >= self._per_address:
            CONNECTIONS_REFUSED.labels("total" if self._open >= self._total else "address").inc()
            return False
        self._by_address[address] = mine + 1
        self._open += 1
        CONNECTIONS.inc()
        return True

    def leave(self, address: str) -> None:
        """Count one less."""
        self._open -= 1
        CONNECTIONS.dec()
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]
