"""Every question of docs/analysts.md has an answer, for an analyst, where something happened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sinks.sql_port.roles import ANALYST
from tests.sinks.samples import (
    DAY_MS,
    HOUR_MS,
    alert,
    client,
    client_key,
    event,
    heartbeat,
    liveness,
    now_ms,
    registration,
    rejection,
    session,
)
from tests.sinks.warehouse import Warehouse

GUIDE = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text()
QUESTIONS = re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)
ID, OTHER = "demo-0007", "demo-0008"
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def night(warehouse: Warehouse) -> Warehouse:
    """A night in which something of everything happened to one client, and some of it to another."""
    now = now_ms()
    warehouse.fill("clients", "client", client(ID, node_id="node-7"), client(OTHER, node_id="node-7"))
    warehouse.fill("client_keys", "client_key", client_key(ID))
    warehouse.fill("registrations", "registration", registration(ID))
    warehouse.fill("heartbeats", "heartbeat", heartbeat(ID, status="error", timestamp=now - HOUR_MS))
    yesterday = now // DAY_MS * DAY_MS - DAY_MS
    states = [("online", yesterday), ("offline", yesterday + 12 * HOUR_MS), ("online", yesterday + 13 * HOUR_MS)]
    states.append(("offline", now - 3 * MINUTE_MS))
    warehouse.fill("liveness_transitions", "liveness", *(liveness(ID, state, timestamp=at) for state, at in states))
    alerts(warehouse, now)
    attack(warehouse, now)
    sessions(warehouse, now)
    warehouse.fill("rejections", "rejection", rejection("cookbook", client_id=ID))
    return warehouse


def alerts(warehouse: Warehouse, now: int) -> None:
    silenced = alert(ID, "cookbook-2", "suppressed", suppressed_by="silence:s", timestamp=now - MINUTE_MS)
    warehouse.fill("alerts", "alert", alert(ID, "cookbook-1", "firing"), silenced)


def attack(warehouse: Warehouse, now: int) -> None:
    failures = [
        event(
            each, f"cookbook-{number}", timestamp=now - MINUTE_MS + number, source_ip_pseudonym="cookbook", **target(number)
        )
        for each in (ID, OTHER)
        for number in range(4)
    ]
    warehouse.fill("events", "event", *failures)


def target(number: int) -> dict[str, str]:
    return {"target_ip": "203.0.113.0", "target_ip_pseudonym": f"cookbook-{number}"}


def sessions(warehouse: Warehouse, now: int) -> None:
    usual = [session(ID, f"cookbook-{day}", start_time=now - day * DAY_MS + 12 * HOUR_MS) for day in range(1, 13)]
    tonight = [session(each, "cookbook-now", start_time=now, client_ip_pseudonym="cookbook") for each in (ID, OTHER)]
    failed = session(ID, "cookbook-failed", start_time=now - 2 * MINUTE_MS, end_time=now, status="error")
    warehouse.fill("sessions", "session", *usual, *tonight, failed)


def test_the_cookbook_has_enough_questions() -> None:
    assert len(QUESTIONS) >= 20


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: " ".join(question.split())[:60])
def test_a_question_has_an_answer(night: Warehouse, question: str) -> None:
    assert night.ask(question, role=ANALYST)
