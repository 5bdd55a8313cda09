"""Whichever of two sinks on a server sleeps past its session, each record on Kafka is in its table once."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from infra.kafka import EmbeddedKafka
from tests.chaos.sink_havoc import SESSION_TIMEOUT_S, WRONG_MINUTES
from tests.chaos.two_sinks import TwoSinks
from tests.figures import Tell

_SHORT = {"late_zombie": 1}
_LONG = {"zombie": 20, "late_zombie": 20, "killed": 20}


@pytest.mark.long
@pytest.mark.parametrize(("rounds", "burst"), [(_SHORT, 200), (_LONG, 500)], ids=["short", "long"])
async def test_nothing_is_lost_or_doubled(
    own_kafka: EmbeddedKafka, tmp_path: Path, rounds: dict[str, int], burst: int, tell: Tell
) -> None:
    group = f"sinks-{uuid.uuid4()}"
    async with TwoSinks(own_kafka.bootstrap, tmp_path, group, burst, SESSION_TIMEOUT_S, seed=burst) as sinks:
        await sinks.run(**rounds)
        await _check(sinks, tell)


async def _check(sinks: TwoSinks, tell: Tell) -> None:
    kafka = sum((await sinks.log_ends()).values())
    rows = await sinks.found("SELECT count() FROM viworks.heartbeats")
    different = await sinks.found("SELECT uniqExact(_topic, _partition, _offset) FROM viworks.heartbeats")
    doubled = await sinks.found("SELECT count() - uniqExact(_topic, _partition, _offset) FROM viworks.witness")
    by_id = await sinks.found("SELECT uniqExact(client_id, timestamp) FROM viworks.heartbeats")
    wrong = await sinks.found(WRONG_MINUTES)
    claims = await sinks.found("SELECT count() FROM viworks.sink_claims")
    tell(
        f"{dict(sinks.done)}, late inserts: {dict(sinks.late)}, {claims} claims; {kafka:,} heartbeats on Kafka: "
        f"{kafka - different:,} lost, {doubled:,} doubled by topic, partition and offset, {rows - by_id:,} by id, "
        f"{wrong} minutes of the rollups wrong"
    )
    assert (rows, different, by_id, doubled, wrong) == (kafka, kafka, kafka, 0, 0)
    assert sinks.late == {"Code: 395": sinks.done["late_zombie"]}, "each was refused by its condition"
