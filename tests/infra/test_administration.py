"""Orders through a worker on the real broker."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest

from infra.administration import carried_out, order, user_name
from infra.errors import BrokerUnreachable, NotDecided, OrderRefused
from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from schemas.topics import AUDIT
from tests.processors.harness import Lab, worker_settings, working


async def test_an_order_brings_its_verdict_and_the_audit_names_who_gave_it(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    token_id = uuid.uuid4().hex
    expires_at = time.time_ns() // 1_000_000 + 60_000
    body = {"secret_hash": "00" * 32, "uses": 1, "expires_at": expires_at, "labels": ["lab"]}
    async with working(worker_settings(kafka.bootstrap, tmp_path)), Lab(kafka.bootstrap) as lab:
        verdict = await order(kafka.bootstrap, token_id, "enrolment.create", body, "somebody")
        assert (verdict["outcome"], verdict["client_id"]) == ("accepted", token_id)
        assert carried_out(verdict) == verdict["details"]
        [audit] = await lab.wait_for(AUDIT, subject=token_id)
        assert (audit["actor"], json.loads(audit["details"])["labels"]) == ("somebody", ["lab"])

        refused = await order(kafka.bootstrap, "c-1", "client.paint", {}, "somebody")
        with pytest.raises(OrderRefused, match="Refused: no such action"):
            carried_out(refused)


async def test_where_nobody_decides_it_is_told(kafka: EmbeddedKafka) -> None:
    with pytest.raises(NotDecided, match=r"enrolment\.revoke .* may still be carried out"):
        await order(kafka.bootstrap, "t-1", "enrolment.revoke", {}, user_name(), within_s=1.0)


async def test_a_broker_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.administration._PROBE_S", 0.3)
    with pytest.raises(BrokerUnreachable):
        await order(f"127.0.0.1:{free_port()}", "t-1", "enrolment.revoke", {}, user_name())
