"""How many requests a client and an address may send (decision 0011).

Four budgets: a client's requests; beside it a reserve that only its urgent events may use once that is spent; what one
address may send before anybody is authenticated; registrations of one address. RateLimit headers are those of
draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ingest.errors import TooManyRequests
from ingest.metrics import RATE_LIMITED
from ingest.settings import EdgeSettings
from ingest.token_bucket import Budget, TokenBuckets
from schemas.messages import Message, SecurityEvent

URGENT = frozenset({"high", "critical"})
_MAX_CLIENTS = 200_000
_MAX_ADDRESSES = 50_000
_NOTHING: Mapping[bytes, bytes] = {}


class Limits:
    """The budgets of one edge process. Times are milliseconds since the epoch; a refusal is TooManyRequests."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._clients = TokenBuckets(Budget("client", settings.client_rate_per_s, settings.client_burst), _MAX_CLIENTS)
        self._urgent = TokenBuckets(
            Budget("critical-events", settings.urgent_rate_per_s, settings.urgent_burst), _MAX_CLIENTS
        )
        self._addresses = TokenBuckets(
            Budget("address", settings.address_rate_per_s, settings.address_burst), _MAX_ADDRESSES
        )
        self._registrations = TokenBuckets(
            Budget("registrations", settings.registration_rate_per_s, settings.registration_burst), _MAX_ADDRESSES
        )

    def address(self, address: str, now_s: float) -> TooManyRequests | None:
        """Any request of an address (time in seconds here), before it is known whose it is. Returns the refusal."""
        wait_s = self._addresses.take(address, now_s)
        return _refusal(self._addresses.budget, wait_s) if wait_s else None

    def registration(self, address: str, now_ms: int) -> None:
        """A registration, before its signature is checked."""
        wait_s = self._registrations.take(address, now_ms / 1000)
        if wait_s:
            raise _refusal(self._registrations.budget, wait_s)

    def before_body(self, kind: type[Message] | None, client_id: str, now_ms: int) -> None:
        """A request of a client; of an event only whether anything is left: its severity is not known yet."""
        if kind is not SecurityEvent:
            self.client(client_id, now_ms)
        elif not self._clients.left(client_id, now_ms / 1000) and not self._urgent.left(client_id, now_ms / 1000):
            raise _refusal(self._clients.budget, 1 / self._clients.budget.rate_per_s)

    def after_body(self, message: Message, now_ms: int) -> None:
        """A verified message. An urgent event uses the reserve when its client's budget is spent."""
        if not isinstance(message, SecurityEvent):
            return
        wait_s = self._clients.take(message.client_id, now_ms / 1000)
        if wait_s and message.severity in URGENT:
            wait_s = self._urgent.take(message.client_id, now_ms / 1000)
        if wait_s:
            raise _refusal(self._clients.budget, wait_s)

    def client(self, client_id: str, now_ms: int, cost: int = 1) -> None:
        """One request of a client, or ``cost`` at once."""
        wait_s = self._clients.take(client_id, now_ms / 1000, cost)
        if wait_s:
            raise _refusal(self._clients.budget, wait_s)

    def notice(self, client_id: str, now_ms: int) -> Mapping[bytes, bytes]:
        """The headers that tell a client how much is left: none while it is half of the budget."""
        if self._clients.is_half_full(client_id, now_ms / 1000):
            return _NOTHING
        budget = self._clients.budget
        left = self._clients.left(client_id, now_ms / 1000)
        return _headers(budget, left, (budget.burst - left) / budget.rate_per_s)


def _refusal(budget: Budget, wait_s: float) -> TooManyRequests:
    RATE_LIMITED.labels(budget.name).inc()
    return TooManyRequests(f"the budget {budget.name} is spent", wait_s, _headers(budget, 0, wait_s))


def _headers(budget: Budget, left: int, reset_s: float) -> dict[bytes, bytes]:
    window_s = math.ceil(budget.burst / budget.rate_per_s)
    return {
        b"ratelimit-policy": f'"{budget.name}";q={budget.burst};w={window_s}'.encode(),
        b"ratelimit": f'"{budget.name}";r={left};t={math.ceil(reset_s)}'.encode(),
    }
