"""Which policies hold for a client, and what follows from it; without Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.key_files import KeyFiles
from ingest import standings
from ingest.documents import Documents
from ingest.groups import NO_GROUPS, Groups
from ingest.policies import PolicyBook
from ingest.standings import Standings
from schemas import signing
from schemas.policies import DEFAULT_VERSION
from schemas.sealing import SealingKey
from tests.ingest.conftest import edge_settings
from tests.ingest.policy_records import policy_record

CLIENT = Groups(frozenset({"vpn", "monitoring"}), "node-1", frozenset({"site=berlin", "lab"}))
DAY_MS = 86_400_000


def book_of(*records: dict[str, Any]) -> PolicyBook:
    book = PolicyBook(default_interval_s=30)
    for record in records:
        book.apply(record["policy_id"], record)
    return book


def holding(book: PolicyBook, groups: Groups = CLIENT) -> list[str]:
    return [policy.policy_id for policy in book.effective(groups).policies]


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"capability": "vpn"}, True),
        ({"capability": "spa"}, False),
        ({"node_id": "node-1"}, True),
        ({"node_id": "node-10"}, False),
        ({"label": "site=berlin"}, True),
        ({"label": "site=bonn"}, False),
        ({"label": "site"}, True),
        ({"label": "lab"}, True),
        ({"label": "lab=1"}, False),
        ({"label": "sit"}, False),
        ({"capability": "vpn", "node_id": "node-1", "label": "site"}, True),
        ({"capability": "vpn", "node_id": "node-2"}, False),
    ],
)
def test_every_member_of_a_selector_must_hold(selector: dict[str, str], selects: bool) -> None:
    book = book_of(policy_record("p", 2, selector))
    assert holding(book) == (["p"] if selects else ["default"])


def test_a_client_of_no_groups_is_selected_by_the_empty_selector_alone() -> None:
    book = book_of(policy_record("all", 2), *(policy_record(name, 3, {name: "x"}) for name in ("node_id", "label")))
    assert holding(book, NO_GROUPS) == ["all"]


def test_the_most_specific_selector_wins_then_the_priority_then_the_id() -> None:
    book = book_of(
        policy_record("everybody", 2, priority=1000),
        policy_record("b", 3, {"capability": "vpn"}),
        policy_record("a", 4, {"label": "lab"}),
        policy_record("high", 5, {"node_id": "node-1"}, priority=1),
        policy_record("precise", 6, {"node_id": "node-1", "label": "lab"}, priority=-1000),
    )
    assert holding(book) == ["precise", "high", "a", "b", "everybody"]


def test_where_none_selects_the_default_holds_under_the_books_version() -> None:
    assert (book_of().effective(CLIENT).version, book_of().effective(CLIENT).interval_s) == (DEFAULT_VERSION, 30)
    effective = book_of(policy_record("p", 7, {"label": "other"})).effective(CLIENT)
    assert (effective.version, effective.interval_s, effective.in_force.policy_id) == (7, 30, "default")


def test_a_deletion_brings_the_default_back_and_no_older_version() -> None:
    book = book_of(policy_record("p", 2), policy_record("p", 3, deleted=True))
    assert (holding(book), book.version) == (["default"], 3)


def test_nothing_takes_a_newer_version_back() -> None:
    book = book_of(policy_record("p", 5, heartbeat_interval=100), policy_record("p", 4), policy_record("p", 5))
    book.apply("p", None)
    book.apply("p", policy_record("p", 4))
    book.apply("other", policy_record("p", 9))
    assert (book.effective(CLIENT).interval_s, book.version, book.changes) == (100, 5, 1)


@pytest.mark.parametrize(
    "changes", [{"selector": "{"}, {"selector": '{"country": "x"}'}, {"body": "[]"}, {"heartbeat_interval": 5}]
)
def test_a_record_that_the_registry_did_not_write_is_not_taken(changes: dict[str, Any]) -> None:
    book = book_of()
    with pytest.raises(ValueError, match=r"."):
        book.apply("p", policy_record("p", 2, **changes))
    assert book.changes == 0


@pytest.fixture
def documents(key_files: KeyFiles) -> Documents:
    settings = edge_settings("unused", key_files)
    return Documents(settings, SealingKey.from_pem(key_files.sealing_public.read_bytes()))


def test_a_standing_is_computed_once_and_again_when_the_book_has_changed(documents: Documents) -> None:
    book = book_of(policy_record("p", 2, {"label": "lab"}))
    found = Standings(book, documents)
    first = found.of(CLIENT)
    assert found.of(CLIENT) is first
    assert found.of(Groups(labels=frozenset({"lab"}))) is first
    assert found.of(NO_GROUPS) is not first
    assert (first.terms.interval_ms, first.config.heartbeat_interval) == (60_000, 60)
    book.apply("p", policy_record("p", 3, {"label": "lab"}, heartbeat_interval=90))
    again = found.of(CLIENT)
    assert (again.terms.interval_ms, again.headers) == (90_000, {b"x-policy-version": b"3"})
    assert (again.terms.maintenance_ms, again.terms.gone_ms) == (14_400_000, 2_592_000_000)
    book.apply("p", policy_record("p", 4, {"label": "lab"}, maintenance_max=60, gone_after=86_400))
    assert found.of(CLIENT).terms == (60_000, 60_000, 86_400_000)
    assert json.loads(again.heartbeat_answer(0, 0).body) == {"status": "accepted", "policy_version": 3}
    assert again.signed_policies.etag != first.signed_policies.etag


def test_no_number_of_groups_fills_the_memory(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "_MAX_GROUPS", 10)
    found = Standings(book_of(), documents)
    for number in range(50):
        found.of(Groups(node_id=str(number)))
    assert len(found._by_groups) == 10


def test_the_documents_are_signed_and_every_edge_gives_them_the_same_tag(documents: Documents, key_files: KeyFiles) -> None:
    book = book_of(policy_record("p", 2, key_max_age_s=86_400, reporting=["events"]))
    standing = Standings(book, documents).of(CLIENT)
    for document in (standing.signed_config, standing.signed_policies):
        signed, text = signing.signed_bytes(document.body)
        signing.verify(signed, signing.decode_signature(text), signing.public_key_from_pem(standing.config.policy_key))
        assert json.loads(document.body)["policy_version"] == 2
    [policy] = json.loads(standing.signed_policies.body)["policies"]
    assert policy == {
        "policy_id": "p", "version": 2, "heartbeat_interval": 60, "reporting": ["events"], "key_max_age_s": 86_400,
        "maintenance_max": 14_400, "gone_after": 2_592_000,
    }  # fmt: skip
    sealing_key = SealingKey.from_pem(key_files.sealing_public.read_bytes())
    other = Standings(book, Documents(edge_settings("other", key_files), sealing_key)).of(CLIENT)
    assert other.signed_policies == standing.signed_policies


@pytest.mark.parametrize(
    ("header", "known"),
    [("{}", True), ("W/{}", True), ('"x", {}', True), ("*", True), ('"x"', False), ("", False)],
)
def test_if_none_match(documents: Documents, header: str, known: bool) -> None:
    document = Standings(book_of(), documents).of(CLIENT).signed_policies
    assert document.is_known(header.format(document.etag.decode()).encode()) is known
    assert not document.is_known(None)


@pytest.mark.parametrize(
    ("max_age_s", "key_since_ms", "due"),
    [(86_400, 9 * DAY_MS - 1, True), (86_400, 9 * DAY_MS, False), (86_400, 0, False), (None, 1, False)],
)
def test_a_key_older_than_the_policy_allows_is_to_be_rotated(
    documents: Documents, max_age_s: int | None, key_since_ms: int, due: bool
) -> None:
    standing = Standings(book_of(policy_record("p", 2, key_max_age_s=max_age_s)), documents).of(CLIENT)
    headers = standing.heartbeat_answer(key_since_ms, 10 * DAY_MS).headers
    assert headers.get(b"x-key-rotation") == (b"due" if due else None)
    assert headers[b"x-policy-version"] == b"2"
