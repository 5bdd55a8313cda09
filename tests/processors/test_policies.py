"""Decisions on policies, without Kafka, and one through a worker on the real broker."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.registry.decision import Decision
from processors.registry.policies import delete_policy, set_policy
from processors.settings import ProcessorSettings
from schemas import codec
from schemas.commands import POLICIES as SUBJECT
from schemas.policies import DEFAULT_VERSION, MAX_POLICIES, read_record
from schemas.topics import AUDIT, POLICIES, VERDICTS
from tests.processors.harness import Lab, working
from tests.processors.samples import command

Policies = dict[str, dict[str, Any]]


def setting(policy_id: str = "lab", **arguments: Any) -> dict[str, Any]:
    return command(SUBJECT, "policy.set", **{"policy_id": policy_id, "heartbeat_interval": 60, **arguments})


def deletion(policy_id: str = "lab") -> dict[str, Any]:
    return command(SUBJECT, "policy.delete", policy_id=policy_id)


def decide(policies: Policies, order: dict[str, Any]) -> Decision:
    """The decision, carried out."""
    decision = (set_policy if order["action"] == "policy.set" else delete_policy)(policies, order, 5_000)
    if decision.state:
        codec.encode("policy", decision.state)
        policies[decision.state["policy_id"]] = decision.state
    return decision


def details(decision: Decision) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decision.verdict["details"])
    return found


def test_a_policy_is_written_with_what_was_ordered() -> None:
    policies: Policies = {}
    selector = {"capability": "vpn", "node_id": "n-1", "label": "site=berlin"}
    order = setting(selector=selector, reporting=["events", "heartbeat"], key_max_age_s=3_600, priority=7)
    decision = decide(policies, order)
    policy = read_record(policies["lab"])
    assert (policy.version, policy.heartbeat_interval, policy.deleted) == (DEFAULT_VERSION + 1, 60, False)
    assert json.loads(policies["lab"]["selector"]) == selector
    assert (policy.body.reporting, policy.body.key_max_age_s, policy.body.priority) == (["events", "heartbeat"], 3_600, 7)
    assert (decision.verdict["outcome"], details(decision)["version"]) == ("accepted", policy.version)
    [audit] = [row.record for row in decision.rows if row.topic is AUDIT]
    assert (audit["action"], audit["subject"], audit["actor"]) == ("policy.set", "lab", "admin")
    assert json.loads(audit["details"])["version"] == policy.version


def test_members_that_are_left_out_have_their_defaults() -> None:
    policies: Policies = {}
    decide(policies, setting())
    policy = read_record(policies["lab"])
    assert policies["lab"]["selector"] == "{}"
    assert sorted(policy.body.reporting) == ["events", "heartbeat", "sessions"]
    assert (policy.body.key_max_age_s, policy.body.priority) == (None, 0)
    assert (policy.maintenance_max, policy.gone_after) == (14_400, 2_592_000)


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"heartbeat_interval": 14}, "heartbeat_interval: Expected `int` >= 15"),
    ({"heartbeat_interval": 301}, "heartbeat_interval: Expected `int` <= 300"),
    ({"heartbeat_interval": 60.5}, "heartbeat_interval: Expected `int`, got `float`"),
    ({"heartbeat_interval": True}, "heartbeat_interval: Expected `int`, got `bool`"),
    ({"heartbeat_interval": None}, "heartbeat_interval: Expected `int`, got `null`"),
    ({"policy_id": "s3cret/value"}, "policy_id: Expected `str` matching regex"),
    ({"policy_id": "x" * 65}, "policy_id: Expected `str` matching regex"),
    ({"policy_id": "default"}, "policy_id: the default policy is the settings' own"),
    ({"selector": {"country": "s3cret"}}, "selector: Object contains unknown field `country`"),
    ({"selector": {"label": "=s3cret"}}, "selector.label: Expected `str` matching regex"),
    ({"selector": {"node_id": "s3cret" * 30}}, "selector.node_id: Expected `str` of length <= 128"),
    ({"selector": []}, "selector: Expected `object`, got `array`"),
    ({"reporting": ["s3cret"]}, "reporting[0]: not one of the values that the protocol names"),
    ({"reporting": ["events"] * 4}, "reporting: Expected `array` of length <= 3"),
    ({"key_max_age_s": 3_599}, "key_max_age_s: Expected `int` >= 3600"),
    ({"priority": 1_001}, "priority: Expected `int` <= 1000"),
    ({"maintenance_max": 59}, "maintenance_max: Expected `int` >= 60"),
    ({"maintenance_max": 604_801}, "maintenance_max: Expected `int` <= 604800"),
    ({"gone_after": 86_399}, "gone_after: Expected `int` >= 86400"),
    ({"gone_after": 31_536_001}, "gone_after: Expected `int` <= 31536000"),
    ({"colour": "s3cret"}, "Object contains unknown field `colour`"),
]


@pytest.mark.parametrize(("arguments", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_an_order_that_does_not_fit_is_refused_with_the_member_and_the_rule(arguments: dict[str, Any], reason: str) -> None:
    policies: Policies = {}
    decision = decide(policies, setting(**arguments))
    assert (decision.verdict["outcome"], decision.state, decision.rows) == ("refused", None, ())
    assert details(decision)["reason"].startswith(reason)
    assert "s3cret" not in decision.verdict["details"]


@pytest.mark.parametrize("body", ["", "[" * 100_000, "{", '"text"', '{"heartbeat_interval": 60}'])
def test_a_body_that_is_no_order_is_refused(body: str) -> None:
    decision = decide({}, setting() | {"body": body})
    assert decision.verdict["outcome"] == "refused"
    assert details(decision)["reason"]


def test_an_order_under_another_subject_is_refused() -> None:
    """It may stand in a partition whose owner does not know all policies."""
    decision = decide({}, setting() | {"subject": "lab"})
    assert details(decision)["reason"].startswith("subject: ")


@pytest.mark.parametrize("interval", [15, 300])
def test_the_limits_themselves_are_allowed(interval: int) -> None:
    assert decide({}, setting(heartbeat_interval=interval)).verdict["outcome"] == "accepted"


def test_versions_count_over_all_policies_and_a_deletion_takes_one_too() -> None:
    policies: Policies = {}
    versions = [details(decide(policies, order))["version"] for order in (setting("a"), setting("b"), deletion("b"))]
    assert versions == [DEFAULT_VERSION + 1, DEFAULT_VERSION + 2, DEFAULT_VERSION + 3]
    assert policies["b"]["deleted"]
    assert details(decide(policies, setting("a")))["version"] == DEFAULT_VERSION + 4
    decide(policies, setting("b"))
    assert (policies["b"]["deleted"], policies["b"]["version"]) == (False, DEFAULT_VERSION + 5)


@pytest.mark.parametrize("policies", [{}, {"lab": None}])
def test_there_is_nothing_to_delete(policies: Policies) -> None:
    known: Policies = {}
    if policies:
        decide(known, setting())
        decide(known, deletion())
    assert details(decide(known, deletion()))["reason"] == "policy_id: there is no such policy"


def test_a_deletion_that_was_refused_does_not_end_the_later_policy_when_it_comes_again() -> None:
    policies: Policies = {}
    early = deletion() | {"timestamp": 1_000}
    assert decide(policies, early).verdict["outcome"] == "refused"
    decide(policies, setting() | {"timestamp": 1_001})
    assert "after this deletion" in details(decide(policies, early))["reason"]
    assert not policies["lab"]["deleted"]


def test_the_number_of_ids_is_bounded_and_deleted_ones_may_come_back() -> None:
    policies: Policies = {}
    for number in range(MAX_POLICIES):
        decide(policies, setting(f"p-{number}"))
    assert "have been used" in details(decide(policies, setting("one-more")))["reason"]
    decide(policies, deletion("p-0"))
    assert "have been used" in details(decide(policies, setting("one-more")))["reason"]
    assert decide(policies, setting("p-0")).verdict["outcome"] == "accepted"


orders = st.one_of(
    st.builds(setting, st.sampled_from("ab"), heartbeat_interval=st.integers(10, 20)),
    st.builds(deletion, st.sampled_from("ab")),
)


@given(st.lists(orders, max_size=12), st.data())
def test_what_is_delivered_again_changes_nothing_and_no_version_is_used_twice(
    sent: list[dict[str, Any]], data: st.DataObject
) -> None:
    timed = [order | {"timestamp": number} for number, order in enumerate(sent)]
    policies: Policies = {}
    decisions = [decide(policies, order) for order in timed]
    versions = [decision.state["version"] for decision in decisions if decision.state]
    assert versions == sorted(set(versions))
    start = data.draw(st.integers(0, len(timed)))
    before = json.dumps(policies)
    again = [decide(policies, order) for order in timed[start:]]
    assert json.dumps(policies) == before
    for first, second in zip(decisions[start:], again, strict=True):
        assert second.verdict["outcome"] == first.verdict["outcome"]
        assert details(second).get("version") == details(first).get("version")


async def verdict_on(lab: Lab, order: dict[str, Any], count: int = 1) -> dict[str, Any]:
    await lab.order(order)
    return (await lab.wait_for(VERDICTS, count, request_id=order["request_id"]))[-1]


async def test_policies_are_kept_over_a_restart_and_versions_go_on(settings: ProcessorSettings, lab: Lab) -> None:
    name = f"policy-{uuid.uuid4().hex[:12]}"
    first = setting(name)
    async with working(settings):
        accepted = await verdict_on(lab, first)
        [policy] = await lab.wait_for(POLICIES, policy_id=name)
        assert json.loads(accepted["details"])["version"] == policy["version"]
        assert (await verdict_on(lab, first, count=2))["details"] == accepted["details"]
        assert len(await lab.wait_for(AUDIT, subject=name)) >= 1
        refused = await verdict_on(lab, setting(name, heartbeat_interval=5))
        assert "heartbeat_interval" in json.loads(refused["details"])["reason"]
    async with working(settings):
        assert (await verdict_on(lab, first, count=3))["details"] == accepted["details"]
        assert (await verdict_on(lab, deletion(name)))["outcome"] == "accepted"
    [_, deleted] = lab.of(POLICIES, policy_id=name)
    assert (deleted["version"], deleted["deleted"]) == (policy["version"] + 1, True)
