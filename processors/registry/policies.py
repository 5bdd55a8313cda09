"""Policies: written and deleted by administrators, under versions that count for the whole installation.

All commands have the subject ``POLICIES``, hence one owner and one order. Every change takes the number after the highest of
all policies; a deleted policy keeps its record, so that no number is used twice and none falls.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from processors.registry.decision import Decision, Outcome, Record, States, audit, verdict
from schemas.commands import POLICIES
from schemas.errors import InvalidMessage, MessageError
from schemas.policies import (
    DEFAULT_ID,
    DEFAULT_VERSION,
    MAX_POLICIES,
    PolicyBody,
    PolicyDeletion,
    PolicyOrder,
    StoredPolicy,
    read_order,
    read_record,
)

_REMEMBERED = 16

T = TypeVar("T", PolicyOrder, PolicyDeletion)


def set_policy(policies: States, command: Record, now_ms: int) -> Decision:
    """Decide on ``policy.set``: write a policy, new or in place of the one of its id."""
    try:
        order = _checked(command, PolicyOrder)
    except MessageError as error:
        return _refused(command, now_ms, str(error))
    before = _known(policies, order.policy_id)
    known_version = _version_of(before, command)
    if known_version is not None:
        return _done(command, now_ms, order.policy_id, known_version, None)
    if before is None and len(policies) >= MAX_POLICIES:
        return _refused(command, now_ms, f"policy_id: {MAX_POLICIES} ids have been used; use one of them again")
    version = _next_version(policies)
    said = _said(order, deleted=False)
    body = PolicyBody(
        reporting=sorted(set(order.reporting)),
        key_max_age_s=order.key_max_age_s,
        priority=order.priority,
        requests=_remembered(before, command, version),
    )
    state = _state(command, order.policy_id, version, said, body)
    return _done(command, now_ms, order.policy_id, version, state)


def delete_policy(policies: States, command: Record, now_ms: int) -> Decision:
    """Decide on ``policy.delete``: the policy applies to nobody any more, under a version of its own."""
    try:
        policy_id = _checked(command, PolicyDeletion).policy_id
    except MessageError as error:
        return _refused(command, now_ms, str(error))
    before = _known(policies, policy_id)
    known_version = _version_of(before, command)
    if known_version is not None:
        return _done(command, now_ms, policy_id, known_version, None)
    if before is None or before.deleted:
        return _refused(command, now_ms, "policy_id: there is no such policy")
    # Delivered again after a crash, a deletion that was refused must not end the policy that was written after it.
    if command["timestamp"] < before.timestamp:
        return _refused(command, now_ms, "policy_id: the policy was written after this deletion was ordered")
    version = _next_version(policies)
    said = _said(before, deleted=True)
    body = msgspec.structs.replace(before.body, requests=_remembered(before, command, version))
    return _done(command, now_ms, policy_id, version, _state(command, policy_id, version, said, body))


def _checked(command: Record, kind: type[T]) -> T:
    order = read_order(command["body"], kind)
    if command["subject"] != POLICIES:
        raise InvalidMessage(f"an order on a policy has the subject {POLICIES}", "subject")
    if order.policy_id == DEFAULT_ID:
        raise InvalidMessage("the default policy is the settings' own", "policy_id")
    return order


def _known(policies: States, policy_id: str) -> StoredPolicy | None:
    record = policies.get(policy_id)
    return None if record is None else read_record(record)


def _version_of(policy: StoredPolicy | None, command: Record) -> int | None:
    """The version that this very command led to, where it was decided before."""
    return dict(policy.body.requests).get(command["request_id"]) if policy else None


def _next_version(policies: States) -> int:
    return max((int(policy["version"]) for policy in policies.values()), default=DEFAULT_VERSION) + 1


def _remembered(policy: StoredPolicy | None, command: Record, version: int) -> list[tuple[str, int]]:
    requests = policy.body.requests if policy else []
    return [*requests, (str(command["request_id"]), version)][-_REMEMBERED:]


def _said(policy: PolicyOrder | StoredPolicy, *, deleted: bool) -> dict[str, Any]:
    return {
        "heartbeat_interval": policy.heartbeat_interval,
        "selector": _json(policy.selector),
        "maintenance_max": policy.maintenance_max,
        "gone_after": policy.gone_after,
        "deleted": deleted,
    }


def _state(command: Record, policy_id: str, version: int, said: dict[str, Any], body: PolicyBody) -> dict[str, Any]:
    return {
        "policy_id": policy_id,
        "version": version,
        **said,
        "body": _json(body),
        "timestamp": command["timestamp"],
        "actor": command["actor"],
    }


def _done(command: Record, now_ms: int, policy_id: str, version: int, state: dict[str, Any] | None) -> Decision:
    answer = verdict(command, POLICIES, Outcome.ACCEPTED, now_ms, policy_id=policy_id, version=version)
    order = msgspec.json.decode(command["body"])
    action, actor = str(command["action"]), str(command["actor"])
    row = audit(command, action, policy_id, actor, Outcome.ACCEPTED, version=version, order=order)
    return Decision(answer, state, (row,))


def _refused(command: Record, now_ms: int, reason: str) -> Decision:
    return Decision(verdict(command, str(command["subject"]), Outcome.REFUSED, now_ms, reason=reason))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
