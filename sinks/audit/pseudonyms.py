"""Clients in the audit log: by random pseudonyms, so that a link that is destroyed is destroyed in every record at once.

The chain is of the records with pseudonyms: nothing of it has to be edited when a client is erased. See decision 0021.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from schemas import codec
from sinks.container import Record
from sinks.engine import Session
from sinks.literals import quoted
from sinks.tables import DATABASE

SUBJECTS = f"{DATABASE}.audit_subjects"

PREFIX = "subject-"
_OF_CLIENTS = "client."
_ACTOR_IS_CLIENT = frozenset({"enrolment.claim"})
# Members of details that name clients, wherever they stand.
_MEMBERS = frozenset({"client_id", "client_ids", "clients"})
_DEEPEST = 8
_NO_PART_OF_AN_ID = "[^A-Za-z0-9._:@-]"
# A query's text is bounded, and so is the list of values in it.
_IDS = 500


class Renamed(NamedTuple):
    """A record with pseudonyms in place of clients."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int


def new_pseudonym() -> str:
    """128 random bits: without the table it says nothing, whoever guesses at client ids."""
    return PREFIX + secrets.token_hex(16)


def clients_of(record: Mapping[str, Any]) -> set[str]:
    """The clients that an audit record names."""
    found = _named(_parsed(record["details"]), _DEEPEST)
    if record["action"].startswith(_OF_CLIENTS):
        found.add(record["subject"])
    if record["action"] in _ACTOR_IS_CLIENT or record["actor"] == record["subject"]:
        found.add(record["actor"])
    return {name for name in found if name and not name.startswith(PREFIX)}


def renamed(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The record with each client's pseudonym in place of its id: as actor, as subject, and as a word of the details."""
    details = _parsed(record["details"])
    words = {re.compile(word_pattern(name)): pseudonym for name, pseudonym in names.items()}
    after = _replaced(details, words, _DEEPEST)
    changed = after != details
    return {
        **record,
        "actor": names.get(record["actor"], record["actor"]),
        "subject": names.get(record["subject"], record["subject"]),
        "details": json.dumps(after, separators=(",", ":")) if changed else record["details"],
    }


def with_pseudonyms(
    session: Session, records: Sequence[Record], draw: Callable[[], str] = new_pseudonym
) -> list[Record | Renamed]:
    """The records as they are chained. All must be readable.

    Raises:
        EngineUnavailable: nothing is known of pseudonyms that were new.
    """
    decoded = [codec.decode_as("audit", record.value) for record in records]
    clients = [clients_of(each) for each in decoded]
    names = pseudonyms_of(session, sorted(set().union(*clients)), draw)
    return [
        _with(record, each, {name: names[name] for name in found}) if found else record
        for record, each, found in zip(records, decoded, clients, strict=True)
    ]


def pseudonyms_of(session: Session, clients: Sequence[str], draw: Callable[[], str] = new_pseudonym) -> dict[str, str]:
    """The pseudonym of each client; new ones are in the table before they are used. Raises EngineUnavailable."""
    known = _known(session, clients)
    new = [name for name in clients if name not in known]
    for first in range(0, len(new), _IDS):
        values = ", ".join(f"({quoted(name)}, '{draw()}')" for name in new[first : first + _IDS])
        sql = f"INSERT INTO {SUBJECTS} (client_id, pseudonym) SETTINGS async_insert = 0 VALUES {values}"  # noqa: S608
        session.command(sql)
    # Read again: of two processes that drew at once both take the same.
    return known | _known(session, new)


def word_pattern(client_id: str) -> str:
    """The id where it is not a part of a longer one; a full stop or colon may end a sentence. For RE2 and Python."""
    return f"(^|{_NO_PART_OF_AN_ID})(?:{re.escape(client_id)})({_NO_PART_OF_AN_ID}|[.:](?:\\s|$)|$)"


def _known(session: Session, clients: Iterable[str]) -> dict[str, str]:
    wanted, found = list(clients), dict[str, str]()
    for first in range(0, len(wanted), _IDS):
        listed = ", ".join(map(quoted, wanted[first : first + _IDS]))
        sql = f"SELECT client_id, min(pseudonym) FROM {SUBJECTS} WHERE client_id IN ({listed}) GROUP BY client_id"  # noqa: S608
        found |= {str(row[0]): str(row[1]) for row in session.rows(sql)}
    return found


def _with(record: Record, decoded: Mapping[str, Any], names: Mapping[str, str]) -> Renamed:
    value = codec.encode("audit", renamed(decoded, names))
    return Renamed(record.topic, record.partition, record.offset, None, value, record.timestamp)


def _parsed(details: str) -> Any:
    try:
        return json.loads(details)
    except (ValueError, RecursionError):
        return None


def _named(value: Any, depth: int) -> set[str]:
    if not depth:
        return set()
    if isinstance(value, list):
        return set().union(*(_named(each, depth - 1) for each in value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*(_named(each, depth - 1) for each in value.values()))
    for name in _MEMBERS & value.keys():
        listed = value[name] if isinstance(value[name], list) else [value[name]]
        found |= {each for each in listed if isinstance(each, str)}
    return found


def _replaced(value: Any, words: Mapping[re.Pattern[str], str], depth: int) -> Any:
    if isinstance(value, str):
        for word, pseudonym in words.items():
            # Twice: what stands between two names belongs to the first match.
            value = word.sub(rf"\1{pseudonym}\2", word.sub(rf"\1{pseudonym}\2", value))
        return value
    if not depth:
        return value
    if isinstance(value, list):
        return [_replaced(each, words, depth - 1) for each in value]
    if isinstance(value, dict):
        return {name: _replaced(each, words, depth - 1) for name, each in value.items()}
    return value
