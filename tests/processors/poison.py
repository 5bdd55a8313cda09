"""Records that nobody can use, of every kind that somebody who can write to Kafka may write."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from schemas import codec
from schemas.topics import Topic

Record = Mapping[str, Any]
Kind = Callable[[Topic, Record], bytes | None]


def _value(topic: Topic, record: Record) -> bytes:
    return codec.encode(topic.schemas[0], record)


def _invalid_utf8(topic: Topic, record: Record) -> bytes:
    text = str(record["client_id"]).encode()
    return _value(topic, record).replace(text, b"\xff" * len(text), 1)


def _claims_a_huge_string(topic: Topic, record: Record) -> bytes:
    """Its first text says that it has 2^40 bytes."""
    return _value(topic, record)[:5] + b"\x80\x80\x80\x80\x80\x40" + b"x" * 30


def _claims_a_negative_length(topic: Topic, record: Record) -> bytes:
    return _value(topic, record)[:5] + b"\x07" + b"x" * 30


def _with(**changes: Any) -> Kind:
    return lambda topic, record: _value(topic, {**record, **changes})


# Of every topic.
KINDS: dict[str, Kind] = {
    "null": lambda topic, record: None,
    "empty": lambda topic, record: b"",
    "a header's beginning": lambda topic, record: b"\x00\x00\x00",
    "a header and nothing else": lambda topic, record: _value(topic, record)[:5],
    "no wire format": lambda topic, record: b"\xff\xfe" + _value(topic, record)[2:],
    "JSON": lambda topic, record: b'{"client_id": "c"}',
    "unknown schema": lambda topic, record: b"\x00\x00\x00\x03\xe7" + _value(topic, record)[5:],
    "negative schema id": lambda topic, record: b"\x00\xff\xff\xff\xff" + _value(topic, record)[5:],
    "wrong schema": lambda topic, record: codec.encode("verdict", _VERDICT),
    "truncated": lambda topic, record: _value(topic, record)[:-3],
    "trailing bytes": lambda topic, record: _value(topic, record) + b"\x00",
    "invalid UTF-8": _invalid_utf8,
    "a huge string that is not there": _claims_a_huge_string,
    "a string of negative length": _claims_a_negative_length,
    "a huge key id": _with(key_id="k" * 900_000),
    "a large edge name of control characters": _with(edge="\x00" * 200_000),
    "as large as Kafka takes it": lambda topic, record: b"\x00" * 1_048_000,
    "before all time": _with(timestamp=-1),
    "after all time": _with(timestamp=2**62),
    "received after all time": _with(received_at=2**63 - 1),
    "received in the year 10000": _with(received_at=253_402_300_800_000),
}
OF_HEARTBEATS: dict[str, Kind] = {
    "NaN": _with(uptime=math.nan),
    "infinite": _with(cpu_usage=math.inf),
    "minus infinity": _with(memory_usage=-math.inf),
    "infinite in sum": _with(cpu_usage=1e308, memory_usage=1e308),
    "an interval beyond 32 bits": _with(interval_ms=2**40),
    "an endless stay": _with(gone_ms=2**62),
}
_VERDICT = {
    "request_id": "r", "client_id": "c", "edge": "e", "outcome": "accepted", "key_epoch": 1, "timestamp": 1, "details": "{}",
}  # fmt: skip
