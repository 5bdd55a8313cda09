"""What a hold is, and which rows it names. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sinks.literals import quoted
from sinks.tables import DATABASE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_CLIENTS = 10_000
_MOST_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Kept:
    """How the rows of a table are named and told apart.

    Attributes:
        client: the column that names whose they are.
        times: a row is of a span when one of them lies in it.
        key: tells a row from all others, also when Kafka's topic is made anew.
        newest: a row takes the place of another with its key where this column is greater; then ``FINAL`` makes whole rows.
    """

    client: str
    times: tuple[str, ...]
    key: tuple[str, ...]
    newest: str = ""

    @property
    def compared(self) -> tuple[str, ...]:
        """What is equal where a row is copied already."""
        return (*self.key, self.newest) if self.newest else self.key


def _kept(client: str, *times: str, counted: str) -> Kept:
    return Kept(client, times, ("_partition", "_offset", counted))


KEPT: dict[str, Kept] = {
    "heartbeats": _kept("client_id", "timestamp", "received_at", counted="received_at"),
    "heartbeat_rollups": Kept("client_id", ("minute",), ("client_id", "minute"), newest="heartbeats"),
    "sessions": _kept("client_id", "start_time", "received_at", counted="received_at"),
    "registrations": _kept("client_id", "timestamp", "received_at", counted="received_at"),
    "liveness_transitions": _kept("client_id", "timestamp", counted="timestamp"),
    "events": _kept("client_id", "timestamp", "received_at", counted="received_at"),
    "alerts": _kept("client_id", "timestamp", counted="timestamp"),
    "rejections": _kept("client_id", "first_at", "timestamp", counted="timestamp"),
    "audit_log": _kept("subject", "timestamp", counted="timestamp"),
    "audit_unchained": _kept("subject", "timestamp", counted="timestamp"),
}
"""The tables that a hold can name. ``heartbeats_now`` and the hourly rollups repeat what others have."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold: rows of ``tables`` that are of one of ``client_ids``, or of anybody, and of the span, or of any time."""

    name: str
    client_ids: tuple[str, ...]
    since_ms: int | None
    until_ms: int | None
    tables: tuple[str, ...]
    set_at_ms: int
    actor: str
    reason: str
    order_id: str

    @property
    def names_the_same_as(self) -> tuple[object, ...]:
        """Equal for two holds that name the same rows."""
        return (self.name, self.client_ids, self.since_ms, self.until_ms, self.tables)

    def touches(self, table: str) -> bool:
        return table in self.tables

    def covers(self, client_id: str) -> bool:
        """Whether rows of a client may be under it: such a client cannot be erased."""
        return not self.client_ids or client_id in self.client_ids

    def predicate(self, table: str) -> str:
        """SQL: whether a row of the table is under it."""
        kept = KEPT[table]
        conditions = []
        if self.client_ids:
            conditions.append(_of_clients(kept.client, ", ".join(map(quoted, self.client_ids))))
        if self.since_ms is not None or self.until_ms is not None:
            conditions.append(f"({' OR '.join(self._within(column) for column in kept.times)})")
        return f"({' AND '.join(conditions)})"

    def _within(self, column: str) -> str:
        since = [f"{column} >= {_moment(self.since_ms)}"] if self.since_ms is not None else []
        until = [f"{column} < {_moment(self.until_ms)}"] if self.until_ms is not None else []
        return f"({' AND '.join(since + until)})"


def _of_clients(column: str, listed: str) -> str:
    named = f"{column} IN ({listed})"
    if column != "subject":
        return named
    # The audit log has pseudonyms in place of clients.
    pseudonyms = f"SELECT pseudonym FROM {DATABASE}.audit_subjects WHERE client_id IN ({listed})"  # noqa: S608 - quoted
    return f"({named} OR {column} IN ({pseudonyms}))"


def any_of(holds: Sequence[Hold], table: str) -> str:
    """SQL: whether a row of the table is under one of the holds."""
    return " OR ".join(hold.predicate(table) for hold in holds if hold.touches(table)) or "0"


def held(table: str) -> str:
    """Where the rows of a table are kept."""
    return f"{DATABASE}.held_{table}"


def hold_of(name: str, body: Any, set_at_ms: int, actor: str, order_id: str) -> Hold:
    """The hold that an order asks for. Raises ValueError with what is wrong with it, KeyError, TypeError."""
    clients, tables = tuple(sorted({str(each) for each in body["client_ids"]})), tuple(sorted(set(body["tables"] or KEPT)))
    since, until = body.get("since_ms"), body.get("until_ms")
    if not _NAME.fullmatch(name):
        raise ValueError("a hold's name is up to 64 letters, digits, dots, dashes and underscores")
    if unknown := sorted(set(tables) - set(KEPT)):
        raise ValueError(f"no hold can be on {', '.join(map(str, unknown))[:100]}: the tables are {', '.join(KEPT)}")
    if len(clients) > _MOST_CLIENTS or any(not 0 < len(each) <= _MOST_CHARACTERS for each in clients):
        raise ValueError(f"a hold names up to {_MOST_CLIENTS} clients")
    if any(each is not None and type(each) is not int for each in (since, until)):
        raise ValueError("a moment is a number of milliseconds")
    if since is not None and until is not None and since >= until:
        raise ValueError("the span of a hold ends after it begins")
    if not clients and since is None and until is None:
        raise ValueError("a hold names clients, a span of time, or both")
    return Hold(name, clients, since, until, tables, set_at_ms, actor, str(body.get("reason") or ""), order_id)


def _moment(ms: int | None) -> str:
    return f"fromUnixTimestamp64Milli({ms}, 'UTC')"
