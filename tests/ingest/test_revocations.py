"""Which API keys a revocation refuses, and from when on."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.errors import TokenError
from ingest.revocations import Revocations, revoked_serials
from ingest.tokens import Identity
from schemas.commands import EVERYBODY

NOW = 1_700_000_000_000
LIFETIME_S = 86_400


def record(client_id: str = "c", **changes: Any) -> dict[str, Any]:
    members = {
        "client_id": client_id,
        "min_epoch": 0,
        "reason": "",
        "timestamp": NOW,
        "actor": "a",
        "next_min_epoch": 0,
        "next_at": 0,
        "issued_before": 0,
        "certificate_serials": [],
    }
    return members | changes


def refused(revocations: Revocations, epoch: int, now_ms: int = NOW, client_id: str = "c", issued_s: int = 0) -> bool:
    identity = Identity(client_id, b"k" * 32, "k", frozenset(), epoch, 0, issued_s or NOW // 1000)
    try:
        revocations.check(identity, now_ms)
    except TokenError:
        return True
    return False


@pytest.fixture
def revocations() -> Revocations:
    return Revocations(LIFETIME_S)


def test_an_epoch_ends_at_once_for_its_client_alone(revocations: Revocations) -> None:
    revocations.apply("c", record(min_epoch=3), NOW)
    assert [refused(revocations, epoch) for epoch in (1, 2, 3)] == [True, True, False]
    assert not refused(revocations, 1, client_id="d")


def test_a_rotated_key_ends_after_its_overlap_and_the_one_before_at_once(revocations: Revocations) -> None:
    revocations.apply("c", record(min_epoch=2, next_min_epoch=3, next_at=NOW + 1_000), NOW)
    assert [refused(revocations, epoch, NOW + 999) for epoch in (1, 2, 3)] == [True, False, False]
    assert [refused(revocations, epoch, NOW + 1_000) for epoch in (1, 2, 3)] == [True, True, False]


def test_what_was_made_before_a_moment_ends_for_everybody(revocations: Revocations) -> None:
    revocations.apply(EVERYBODY, record(EVERYBODY, issued_before=NOW), NOW)
    assert refused(revocations, 9, client_id="d", issued_s=NOW // 1000 - 1)
    assert not refused(revocations, 1, client_id="d", issued_s=NOW // 1000)
    revocations.apply(EVERYBODY, None, NOW)
    assert not refused(revocations, 9, client_id="d", issued_s=NOW // 1000 - 1)


def test_a_record_is_forgotten_once_nothing_is_left_that_it_could_refuse(revocations: Revocations) -> None:
    revocations.apply("c", record(min_epoch=3), NOW + LIFETIME_S * 1000)
    assert len(revocations) == 1
    revocations.apply("c", record(min_epoch=3), NOW + LIFETIME_S * 1000 + 1)
    assert len(revocations) == 0
    overlapping = record(next_min_epoch=3, next_at=NOW + 5_000)
    revocations.apply("c", overlapping, NOW + LIFETIME_S * 1000 + 1)
    assert len(revocations) == 1


def test_certificates_are_named_in_hexadecimal() -> None:
    assert revoked_serials(record(certificate_serials=["ff", "1"])) == [255, 1]
    assert revoked_serials(None) == []
