"""Policies: what an administrator may order, what the topic keeps of it, and which of several is in force.

Of the policies that select a client the one with the most specific selector is in force, as a whole: the one whose selector
has the most members, then the one of the highest priority, then the first by id. Where none selects it, the default
policy of the server's settings is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from schemas.errors import NotJson
from schemas.messages import GONE_AFTER_S, MAINTENANCE_MAX_S, Identifier, invalid_message

MIN_INTERVAL_S, MAX_INTERVAL_S = 15, 300
MIN_KEY_AGE_S, MAX_KEY_AGE_S = 3_600, 10 * 366 * 86_400
MIN_MAINTENANCE_S, MAX_MAINTENANCE_S = 60, 7 * 86_400
MIN_GONE_S, MAX_GONE_S = 86_400, 365 * 86_400
MAX_PRIORITY = 1_000
MAX_POLICIES = 256
"""How many ids may ever be used; one that was deleted may be used again."""

DEFAULT_ID = "default"
DEFAULT_VERSION = 1
"""The version while no policy has been written. Versions count for the whole installation and only rise."""

PolicyId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Interval = Annotated[int, Meta(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)]
Maintenance = Annotated[int, Meta(ge=MIN_MAINTENANCE_S, le=MAX_MAINTENANCE_S)]
Gone = Annotated[int, Meta(ge=MIN_GONE_S, le=MAX_GONE_S)]
LabelSelector = Annotated[str, Meta(max_length=128, pattern=r"\A[^=\x00-\x1f\x7f]+(=[^\x00-\x1f\x7f]*)?\Z")]

T = TypeVar("T")


class Reporting(StrEnum):
    """What a client is to report."""

    HEARTBEAT = "heartbeat"
    SESSIONS = "sessions"
    EVENTS = "events"


class Selector(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whom a policy applies to: clients of which every member holds; everybody where there is none.

    ``label`` is ``name=value``, or a name alone for any value of it.
    """

    capability: Identifier | None = None
    node_id: Identifier | None = None
    label: LabelSelector | None = None

    @property
    def specificity(self) -> int:
        return sum(member is not None for member in (self.capability, self.node_id, self.label))

    def selects(self, capabilities: frozenset[str], node_id: str | None, labels: frozenset[str]) -> bool:
        """Whether a client of these groups is meant."""
        if self.capability is not None and self.capability not in capabilities:
            return False
        if self.node_id is not None and self.node_id != node_id:
            return False
        return self.label is None or self.label in labels or _has_label_of_name(self.label, labels)


class PolicyOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``policy.set``. Intervals and ages in seconds; ``key_max_age_s`` None asks for no rotation.

    ``maintenance_max``: how long a client may stay in maintenance. ``gone_after``: what silence makes it count as gone.
    """

    policy_id: PolicyId
    heartbeat_interval: Interval
    selector: Selector = Selector()
    reporting: Annotated[list[Reporting], Meta(max_length=3)] = msgspec.field(default_factory=lambda: list(Reporting))
    key_max_age_s: Annotated[int, Meta(ge=MIN_KEY_AGE_S, le=MAX_KEY_AGE_S)] | None = None
    priority: Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)] = 0
    maintenance_max: Maintenance = MAINTENANCE_MAX_S
    gone_after: Gone = GONE_AFTER_S


class PolicyDeletion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``policy.delete``."""

    policy_id: PolicyId


class PolicyBody(Struct, frozen=True, kw_only=True):
    """The ``body`` of a ``policy`` record.

    ``requests`` are the last orders on this policy with the versions that they led to, so that one that Kafka delivers
    again does not count twice.
    """

    reporting: list[Reporting]
    key_max_age_s: int | None
    priority: int
    requests: list[tuple[str, int]] = []


class StoredPolicy(Struct, frozen=True, kw_only=True):
    """A ``policy`` record, read. Times in milliseconds."""

    policy_id: str
    version: int
    heartbeat_interval: Interval
    selector: Selector
    body: PolicyBody
    timestamp: int
    actor: str
    deleted: bool
    maintenance_max: Maintenance = MAINTENANCE_MAX_S
    gone_after: Gone = GONE_AFTER_S

    @property
    def precedence(self) -> tuple[int, int, str]:
        """The least of several is the policy in force."""
        return -self.selector.specificity, -self.body.priority, self.policy_id


def read_order(body: str, kind: type[T]) -> T:
    """Decode the body of an order.

    Raises:
        NotJson: not well-formed JSON.
        InvalidMessage: names the member and the rule that it breaks.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise invalid_message(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise NotJson("the order's body is not well-formed JSON") from None


def read_record(record: Mapping[str, Any]) -> StoredPolicy:
    """Read a ``policy`` record. Raises ValueError (msgspec.ValidationError) for one that nobody of us wrote."""
    parsed = {name: json.loads(record[name]) for name in ("selector", "body")}
    return msgspec.convert({**record, **parsed}, StoredPolicy)


def _has_label_of_name(name: str, labels: frozenset[str]) -> bool:
    return "=" not in name and any(label.partition("=")[0] == name for label in labels)
