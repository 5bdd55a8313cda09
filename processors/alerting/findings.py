"""Findings: what a rule says about a group of signals, before anybody decides whether it is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Change(StrEnum):
    """Whether what the rule looks for began or is over."""

    BEGINS = "begins"
    ENDS = "ends"


class Finding(NamedTuple):
    """``key`` tells it from all others of the rule: the end of something has the key of its beginning.

    ``timestamp`` in ms is of what led to the change, ``group`` holds the values that the rule groups by, ``client_id`` and
    ``node_id`` are those that it is about (empty and None for the whole fleet). Evidence names times, counts and ids.
    """

    rule: str
    change: Change
    key: tuple[str | int, ...]
    severity: str
    client_id: str
    node_id: str | None
    group: Mapping[str, str]
    timestamp: int
    summary: str
    evidence: Mapping[str, Any]
