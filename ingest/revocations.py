"""API keys that no longer count: what the registry has revoked, as every edge process follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.errors import TokenError
from ingest.tokens import Identity
from schemas.commands import EVERYBODY

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Tokens of an epoch before ``min_epoch`` are refused; before ``next_min_epoch`` from ``next_at_ms`` on."""

    min_epoch: int
    next_min_epoch: int
    next_at_ms: int
    issued_before_ms: int

    def refuses(self, identity: Identity, now_ms: int) -> bool:
        epoch = identity.key_epoch
        ended = epoch < self.min_epoch or (epoch < self.next_min_epoch and now_ms >= self.next_at_ms)
        return ended or identity.issued_s * 1000 < self.issued_before_ms


class Revocations:
    """The newest ``revocation`` record of each client, and the one of everybody.

    A record stays until every token that it could refuse has expired by itself (``token_lifetime_s``), so that the
    rotations of a large fleet do not fill the memory.
    """

    def __init__(self, token_lifetime_s: int) -> None:
        self._token_lifetime_ms = token_lifetime_s * 1000
        self._rules: dict[str, _Rule] = {}
        self._everybody: _Rule | None = None

    def apply(self, key: str, record: Record | None, now_ms: int) -> None:
        """Take a record of the topic into account; None takes the key's back."""
        rule = None if record is None else _rule(record)
        if key == EVERYBODY:
            self._everybody = rule
        elif rule is None or self._is_spent(record or {}, now_ms):
            self._rules.pop(key, None)
        else:
            self._rules[key] = rule

    def check(self, identity: Identity, now_ms: int) -> None:
        """Raise TokenError where the identity's token has been revoked."""
        rule = self._rules.get(identity.client_id)
        if rule is not None and rule.refuses(identity, now_ms):
            raise TokenError("the API key was revoked")
        if self._everybody is not None and self._everybody.refuses(identity, now_ms):
            raise TokenError("the API key was revoked")

    def __len__(self) -> int:
        return len(self._rules)

    def _is_spent(self, record: Record, now_ms: int) -> bool:
        newest_token_ms = max(record["timestamp"], record["next_at"])
        return bool(newest_token_ms + self._token_lifetime_ms < now_ms)


def _rule(record: Record) -> _Rule:
    return _Rule(record["min_epoch"], record["next_min_epoch"], record["next_at"], record["issued_before"])


def revoked_serials(record: Record | None) -> list[int]:
    """The serial numbers of certificates that a record names."""
    return [int(serial, 16) for serial in record["certificate_serials"]] if record else []
