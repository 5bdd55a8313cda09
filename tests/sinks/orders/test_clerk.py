"""An order is carried out once and answered as often as Kafka brings it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from schemas import codec
from schemas.errors import CodecError
from schemas.topics import AUDIT, VERDICTS
from sinks.engine import Session
from sinks.errors import EngineUnavailable, OrderRefused, RecordUndelivered, ReplayFailed
from sinks.orders.clerk import Clerk
from sinks.orders.order import Handler, Order, order_of
from sinks.records import Outgoing
from tests.sinks.samples import now_ms
from tests.sinks.warehouse import Warehouse


class Topics:
    """What was written. ``away`` is how many writes fail before one succeeds."""

    def __init__(self) -> None:
        self.written: list[Outgoing] = []
        self.away = 0

    async def write(self, records: list[Outgoing]) -> None:
        if self.away:
            self.away -= 1
            raise RecordUndelivered("NoBroker")
        self.written += records

    def of(self, topic: object) -> list[dict[str, Any]]:
        return [each.record for each in self.written if each.topic is topic]


def order(action: str = "test.do", **body: Any) -> Order:
    return Order(str(uuid.uuid4()), action, "something", body, "somebody", 1_000, "asker")


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.orders.clerk.backoff_s", lambda *_: 0.0)


def clerk(warehouse: Warehouse, topics: Topics, handlers: Mapping[str, Handler]) -> Clerk:
    return Clerk(warehouse.engine, handlers, topics.write, now_ms)


async def test_an_order_that_comes_again_is_answered_again_and_not_carried_out(warehouse: Warehouse, topics: Topics) -> None:
    done: list[Order] = []

    def handler(given: Order, session: Session) -> dict[str, Any]:
        done.append(given)
        return {"rows": 3}

    given = order(reason="it's a (test)")
    for _ in range(2):
        await clerk(warehouse, topics, {"test.do": handler}).settle(given)
    assert done == [given]
    first, second = topics.of(AUDIT)
    assert first == second
    assert (first["actor"], first["action"], first["outcome"]) == ("somebody", "test.do", "accepted")
    assert json.loads(first["details"]) == {"request_id": given.order_id, "reason": "it's a (test)", "rows": 3}
    assert [verdict["details"] for verdict in topics.of(VERDICTS)] == ['{"rows":3}'] * 2


async def test_a_refusal_names_its_reason(warehouse: Warehouse, topics: Topics) -> None:
    def refuse(given: Order, session: Session) -> dict[str, Any]:
        raise OrderRefused("not today")

    def misread(given: Order, session: Session) -> dict[str, Any]:
        return {"rows": given.body["missing"]}

    working = clerk(warehouse, topics, {"test.do": refuse, "test.misread": misread})
    for action in ("test.do", "test.misread", "test.unknown"):
        await working.settle(order(action))
    verdicts = [(each["outcome"], json.loads(each["details"])["reason"]) for each in topics.of(VERDICTS)]
    assert verdicts == [
        ("refused", "not today"),
        ("refused", "its arguments do not fit"),
        ("refused", "there is no such order to the warehouse"),
    ]


async def test_an_engine_that_is_away_is_waited_for_but_not_for_ever(warehouse: Warehouse, topics: Topics) -> None:
    tries: list[int] = []

    def fails(times: int) -> Handler:
        def handler(given: Order, session: Session) -> dict[str, Any]:
            tries.append(times)
            if tries.count(times) <= times:
                raise EngineUnavailable("code 210")
            return {}

        return handler

    working = clerk(warehouse, topics, {"test.soon": fails(2), "test.never": fails(1_000)})
    await working.settle(order("test.soon"))
    await working.settle(order("test.never"))
    assert [verdict["outcome"] for verdict in topics.of(VERDICTS)] == ["accepted", "failed"]


async def test_a_failure_is_told_and_an_audit_record_waits_for_the_broker(warehouse: Warehouse, topics: Topics) -> None:
    def fail(given: Order, session: Session) -> dict[str, Any]:
        raise ReplayFailed("half of it")

    topics.away = 3
    await clerk(warehouse, topics, {"test.do": fail}).settle(order())
    ((verdict,), (audit,)) = topics.of(VERDICTS), topics.of(AUDIT)
    assert (verdict["outcome"], audit["outcome"]) == ("failed", "failed")
    assert json.loads(verdict["details"]) == {"reason": "ReplayFailed: half of it"}


@pytest.mark.parametrize("body", ["{", "[]", "1", "[" * 100_000])
def test_what_is_no_order_is_told(body: str) -> None:
    record = {
        **dict.fromkeys(("request_id", "subject", "action", "actor", "edge"), "some"),
        **dict.fromkeys(("timestamp", "received_at"), 0),
        "body": body,
    }
    with pytest.raises(CodecError):
        order_of(codec.encode("command", record))
