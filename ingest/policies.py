"""The book of policies: which of them hold for a client. Pure; the topic's follower writes it, requests read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.groups import Groups
from schemas.heartbeat_value import Terms
from schemas.messages import GONE_AFTER_S, MAINTENANCE_MAX_S, Policy
from schemas.policies import (
    DEFAULT_ID,
    DEFAULT_VERSION,
    Reporting,
    Selector,
    StoredPolicy,
    read_record,
)


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for a client.

    Attributes:
        version: the newest version of the whole book, so that it never falls, whichever policy holds.
        policies: those that select the client in the order of their precedence; the first is in force. Never empty.
    """

    version: int
    policies: tuple[Policy, ...]

    @property
    def in_force(self) -> Policy:
        return self.policies[0]

    @property
    def interval_s(self) -> int:
        return self.in_force.heartbeat_interval

    @property
    def terms(self) -> Terms:
        policy = self.in_force
        return Terms(policy.heartbeat_interval * 1000, policy.maintenance_max * 1000, policy.gone_after * 1000)

    @property
    def key_max_age_s(self) -> int | None:
        return self.in_force.key_max_age_s


class PolicyBook:
    """The newest record of each policy.

    Args:
        default_interval_s: of the policy that holds where none selects a client.

    Attributes:
        version: the highest of all policies, deleted ones included; it only rises.
        changes: how many records have been taken: what was computed at an earlier count may be out of date.
    """

    def __init__(self, default_interval_s: int) -> None:
        self.version = DEFAULT_VERSION
        self.changes = 0
        self._default_interval_s = default_interval_s
        self._newest: dict[str, StoredPolicy] = {}
        self._ordered: tuple[tuple[Selector, Policy], ...] = ()

    def apply(self, key: str, record: Mapping[str, Any] | None) -> None:
        """Take a record of the topic. One that is not newer than what is known of its policy changes nothing.

        The registry deletes by a record, never by a tombstone: one of those would take a version back.

        Raises:
            ValueError: the record is none that the registry wrote.
        """
        if record is None:
            return
        policy = read_record(record)
        known = self._newest.get(policy.policy_id)
        if policy.policy_id != key or (known and known.version >= policy.version):
            return
        self._newest[policy.policy_id] = policy
        living = sorted((each for each in self._newest.values() if not each.deleted), key=lambda each: each.precedence)
        self._ordered = tuple((each.selector, _for_clients(each)) for each in living)
        self.version = max(self.version, policy.version)
        self.changes += 1

    def effective(self, groups: Groups) -> Effective:
        """What holds for a client of these groups."""
        found = tuple(
            policy
            for selector, policy in self._ordered
            if selector.selects(groups.capabilities, groups.node_id, groups.labels)
        )
        return Effective(self.version, found or (self._default(),))

    def _default(self) -> Policy:
        return Policy(
            policy_id=DEFAULT_ID,
            version=DEFAULT_VERSION,
            heartbeat_interval=self._default_interval_s,
            reporting=tuple(Reporting),
            key_max_age_s=None,
            maintenance_max=MAINTENANCE_MAX_S,
            gone_after=GONE_AFTER_S,
        )


def _for_clients(policy: StoredPolicy) -> Policy:
    return Policy(
        policy_id=policy.policy_id,
        version=policy.version,
        heartbeat_interval=policy.heartbeat_interval,
        reporting=tuple(policy.body.reporting),
        key_max_age_s=policy.body.key_max_age_s,
        maintenance_max=policy.maintenance_max,
        gone_after=policy.gone_after,
    )
