"""The policies as their topic has them, for people to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from infra.errors import BrokerUnreachable
from infra.kafka_probe import require_answer
from ingest.errors import FollowerStalled
from ingest.topic_follower import TopicFollower
from schemas.policies import StoredPolicy, read_record
from schemas.topics import POLICIES

_PROBE_S = 5.0
_COLUMNS = "{:<24}{:>8}{:>10}{:>10}{:>13}{:>12}  {:<28}{:<28}{}"
_HEADINGS = (
    "policy", "version", "interval", "priority", "maintenance", "gone after", "applies to", "reporting", "key age",
)  # fmt: skip


async def read_policies(bootstrap: str) -> list[StoredPolicy]:
    """Those that have not been deleted, in the order of their precedence. Raises BrokerUnreachable."""
    await require_answer(bootstrap, _PROBE_S)
    newest: dict[str, StoredPolicy] = {}

    def apply(key: str, record: dict[str, Any] | None) -> None:
        if record is not None:
            newest[key] = read_record(record)

    try:
        async with TopicFollower(bootstrap, POLICIES, apply):
            living = [policy for policy in newest.values() if not policy.deleted]
    except FollowerStalled as error:
        raise BrokerUnreachable(f"The policies cannot be read from {bootstrap}: {error}.") from None
    return sorted(living, key=lambda policy: policy.precedence)


def as_table(policies: Iterable[StoredPolicy]) -> list[str]:
    """A line for each policy below the headings."""
    return [_COLUMNS.format(*_HEADINGS), *(_COLUMNS.format(*_cells(policy)) for policy in policies)]


def as_json(policy: StoredPolicy) -> str:
    """All that was said of a policy, but not the orders that are remembered with it."""
    body: dict[str, Any] = msgspec.to_builtins(policy.body)
    del body["requests"]
    document = {**msgspec.to_builtins(policy), **body}
    del document["body"], document["deleted"]
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _cells(policy: StoredPolicy) -> tuple[str, ...]:
    selector: dict[str, str] = msgspec.to_builtins(policy.selector)
    key_age = policy.body.key_max_age_s
    return (
        policy.policy_id,
        str(policy.version),
        f"{policy.heartbeat_interval} s",
        str(policy.body.priority),
        f"{policy.maintenance_max} s",
        f"{policy.gone_after} s",
        ", ".join(f"{name} {value}" for name, value in selector.items()) or "everybody",
        ", ".join(policy.body.reporting) or "nothing",
        "any" if key_age is None else f"{key_age} s",
    )
