"""Orders to erase: a legal hold wins, a crash is made good, and the manifest has each deletion before and after it."""

from __future__ import annotations

import secrets

import pytest

from sinks import erasure
from sinks.audit.pseudonyms import pseudonyms_of
from sinks.erasures import Erasures
from sinks.errors import EngineUnavailable, OrderRefused
from sinks.orders.order import Order
from sinks.retention.entries import Reason, Step
from sinks.tables import DATABASE
from tests.sinks.retention.conftest import Vault
from tests.sinks.retention.rows import FILLED
from tests.sinks.samples import event, now_ms, session


def order_about(pseudonym: str, order_id: str = "erase-1") -> Order:
    return Order(order_id, "subject.erase", pseudonym, {}, "tester", now_ms(), "test")


@pytest.fixture
def known(vault: Vault) -> tuple[str, str]:
    """A client with rows, and its pseudonym."""
    name = f"erase-{secrets.token_hex(6)}"
    # The vault holds them back for tests of its own, and nothing is deleted without them.
    for table in FILLED:
        vault.session.command(f"SYSTEM START MERGES {DATABASE}.{table}")
    vault.warehouse.fill("events", "event", event(name, "e"))
    vault.warehouse.fill("sessions", "session", session(name, "s"))
    return name, pseudonyms_of(vault.session, [name])[name]


def test_a_hold_wins_and_its_end_lets_the_client_go(vault: Vault, known: tuple[str, str]) -> None:
    name, pseudonym = known
    erasures = Erasures(vault.manifest)
    vault.order("hold.set", "case-8", client_ids=[name], tables=["alerts"])
    with pytest.raises(OrderRefused, match="case-8"):
        erasures.erase(order_about(pseudonym), vault.session)
    assert erasure.client_of(vault.session, pseudonym) == name
    vault.order("hold.release", "case-8")
    assert erasures.erase(order_about(pseudonym), vault.session)["deleted"] == {"events": 1, "sessions": 1}
    for table in ("events", "sessions"):
        [entry] = [each for each in vault.done(table) if each.dropped.reason is Reason.ERASURE]
        assert (entry.dropped.rows, entry.dropped.cause) == (1, "erase-1")
    assert vault.verified().faults == []
    assert name not in str(vault.manifest.entries)
    assert erasures.erase(order_about(pseudonym), vault.session)["deleted"] == {}, "its link is destroyed"


def test_one_that_was_cut_short_is_finished(vault: Vault, known: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    name, pseudonym = known

    def dies(*_: object) -> None:
        raise EngineUnavailable("cut short")

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "delete", dies)
        with pytest.raises(EngineUnavailable):
            Erasures(vault.manifest).erase(order_about(pseudonym), vault.session)
    assert erasure.client_of(vault.session, pseudonym) == name
    vault.start_anew()
    Erasures(vault.manifest).erase(order_about(pseudonym), vault.session)
    entries = [each for each in vault.manifest.entries if each.dropped.cause == "erase-1"]
    assert [each.step for each in entries] == [Step.INTENT, Step.DONE] * 2, (
        "what was announced is completed, not announced again"
    )
    assert vault.verified().faults == []
