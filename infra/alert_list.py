"""The alerts and silences as their topics have them, for people to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from infra.errors import BrokerUnreachable
from infra.kafka_probe import require_answer
from ingest.errors import FollowerStalled
from ingest.topic_follower import TopicFollower
from schemas.topics import ALERTS, SILENCES, Topic

_PROBE_S = 5.0
_ALERT = "{:<38}{:<24}{:<10}{:<14}{:<22}{:<24}{}"
_ALERT_HEADINGS = ("alert", "rule", "severity", "status", "since", "about", "summary")
_SILENCE = "{:<38}{:<24}{:<24}{:<16}{:<22}{:<16}{}"
_SILENCE_HEADINGS = ("silence", "rule", "client", "node", "until", "by", "reason")

Record = dict[str, Any]


async def read_alerts(bootstrap: str) -> list[Record]:
    """The newest record of each alert that Kafka keeps, the oldest first. Raises BrokerUnreachable."""
    newest: dict[str, Record] = {}

    def apply(_: str, record: Record | None) -> None:
        if record is not None:
            del record["evidence"]
            newest[record["alert_id"]] = record

    await _read(bootstrap, ALERTS, apply)
    return sorted(newest.values(), key=lambda record: (record["timestamp"], record["alert_id"]))


async def read_silences(bootstrap: str) -> list[Record]:
    """The silences that are not over, the first to end first. Raises BrokerUnreachable."""
    found: dict[str, Record] = {}

    def apply(key: str, record: Record | None) -> None:
        if record is None:
            found.pop(key, None)
        else:
            found[key] = record

    await _read(bootstrap, SILENCES, apply)
    now_ms = time.time_ns() // 1_000_000
    return sorted((each for each in found.values() if each["ends_at"] > now_ms), key=lambda each: each["ends_at"])


def alert_table(alerts: Iterable[Record], everything: bool) -> Iterator[str]:
    """A line for each alert below the headings; those that nobody has to look at only on request."""
    yield _ALERT.format(*_ALERT_HEADINGS)
    for alert in alerts:
        if everything or alert["status"] in ("firing", "acknowledged"):
            about = alert["client_id"] or alert["node_id"] or "the fleet"
            cells = (alert["alert_id"], alert["rule"], alert["severity"], alert["status"], _time(alert["timestamp"]), about)
            yield _line(_ALERT, *cells, alert["summary"])


def silence_table(silences: Iterable[Record]) -> Iterator[str]:
    """A line for each silence below the headings."""
    yield _SILENCE.format(*_SILENCE_HEADINGS)
    for each in silences:
        members = (each["rule"] or "any", each["client_id"] or "any", each["node_id"] or "any")
        yield _line(_SILENCE, each["silence_id"], *members, _time(each["ends_at"]), each["actor"], each["reason"])


async def _read(bootstrap: str, topic: Topic, apply: Callable[[str, Record | None], None]) -> None:
    await require_answer(bootstrap, _PROBE_S)
    try:
        async with TopicFollower(bootstrap, topic, apply):
            return
    except FollowerStalled as error:
        raise BrokerUnreachable(f"{topic.name} cannot be read from {bootstrap}: {error}.") from None


def _time(timestamp_ms: int) -> str:
    return f"{datetime.fromtimestamp(timestamp_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def _line(form: str, *cells: str) -> str:
    """Ids and reasons are other people's text: nothing in them moves the cursor of a terminal."""
    return form.format(*("".join(letter if letter.isprintable() else "?" for letter in cell) for cell in cells))
