"""The policies in force, as a pure state: their version never falls, and what they say is applied at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.messages import ClientConfig, Policy, PolicySet
from viworks.errors import DocumentOlder

DEFAULT_INTERVAL_S = 30
_SHORTEST_S, _LONGEST_S = 1, 3_600
BELIEVED_MS = 60_000
"""While a change spreads, two edges may name different versions (decision 0012); what lasts longer is no accident."""


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What is known of the policies.

    Attributes:
        version: the newest that was verified, of policies or configuration.
        fetched: the version that the server gave ``document`` for.
        etag: of ``document``, for If-None-Match.
        config_interval_s: of the newest configuration.
        older_since_ms: since when the server has given nothing but older documents; None while it has not.
    """

    version: int = 0
    fetched: int = 0
    etag: str = ""
    document: PolicySet | None = None
    config_interval_s: int = DEFAULT_INTERVAL_S
    older_since_ms: int | None = None

    @property
    def in_force(self) -> Policy | None:
        """The first of the policies that select the client."""
        return self.document.policies[0] if self.document and self.document.policies else None

    @property
    def interval_s(self) -> int:
        """Between two heartbeats."""
        policy = self.in_force
        return bounded_interval_s(policy.heartbeat_interval if policy else self.config_interval_s)

    def reports(self, what: str) -> bool:
        """Whether ``heartbeat``, ``sessions`` or ``events`` are to be sent."""
        return self.in_force is None or what in self.in_force.reporting

    def key_too_old(self, key_since_ms: int, now_ms: int) -> bool:
        """Whether the client's key has to be rotated; one whose age is not known counts as old."""
        age_s = self.in_force.key_max_age_s if self.in_force else None
        return age_s is not None and now_ms - key_since_ms >= age_s * 1000


def with_policies(state: PolicyState, document: PolicySet, etag: str) -> PolicyState:
    """Policies whose signature holds come into force. Raises DocumentOlder; the state is then ``with_older``."""
    _check(state, document.policy_version)
    return replace(
        state,
        version=document.policy_version,
        fetched=document.policy_version,
        etag=etag,
        document=document,
        older_since_ms=None,
    )


def confirmed(state: PolicyState, named: int) -> PolicyState:
    """The server says that the policies are still the same: the version that it had named is fetched."""
    return replace(state, fetched=max(state.fetched, named), older_since_ms=None)


def with_config(state: PolicyState, config: ClientConfig) -> PolicyState:
    """A configuration whose signature holds comes into force. Raises DocumentOlder."""
    _check(state, config.policy_version)
    return replace(
        state,
        version=config.policy_version,
        config_interval_s=bounded_interval_s(config.heartbeat_interval),
        older_since_ms=None,
    )


def with_interval(state: PolicyState, interval_s: int) -> PolicyState:
    """The interval of a configuration that came with a registration, which no policy key signs: its version is no floor."""
    return replace(state, config_interval_s=bounded_interval_s(interval_s))


def with_older(state: PolicyState, now_ms: int) -> tuple[PolicyState, bool]:
    """The server gave an older document: the new state, and whether that has lasted too long to be an accident."""
    since_ms = now_ms if state.older_since_ms is None or state.older_since_ms > now_ms else state.older_since_ms
    return replace(state, older_since_ms=since_ms), now_ms - since_ms >= BELIEVED_MS


def is_news(state: PolicyState, named: int) -> bool:
    """Whether a version that a heartbeat's answer named is to be fetched."""
    return named > state.fetched


def bounded_interval_s(interval_s: int) -> int:
    """No server, and no mistake of one, makes a client flood it or fall silent for hours."""
    return min(max(interval_s, _SHORTEST_S), _LONGEST_S)


def _check(state: PolicyState, version: int) -> None:
    if version < state.version:
        raise DocumentOlder("the server's policies are older than those that it gave before")
