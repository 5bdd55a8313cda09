"""Opens the envelopes of rows as ClickHouse writes them (JSONEachRow), each at its place. Pure.

A value is bound to its client, its kind and column, and its message: the row itself must have the columns ``client_id`` and
``event_id``, ``session_id`` or ``timestamp``. Of which kind a row is need not be said: an envelope opens at its own place.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.errors import SealingError
from schemas.sealing import PREFIX, Place, SealingKey, key_id_of, open_envelope
from schemas.sealing_suites import PrivateKey
from viworks.soc.errors import RowUnopened

Row = dict[str, Any]

KINDS: Mapping[str, tuple[str, ...]] = {
    "event_id": ("event",),
    "session_id": ("session",),
    "timestamp": ("heartbeat", "registration", "key_rotation", "certificate_request"),
}
"""Column that names the message → kinds that it names."""
_GROUP = "device_info"
_TIME = re.compile(r"\A\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|\+00:00)?\Z")


class Opener:
    """Opens with the SOC's keys: the one in force and, for older rows, those before it."""

    def __init__(self, keys: list[PrivateKey]) -> None:
        self._keys = {SealingKey(key.public_key()).key_id: key for key in keys}

    def open(self, envelope: str, place: Place) -> bytes:
        """The value. Raises RowUnopened."""
        return self._open(envelope, [place])

    def open_row(self, row: Row) -> tuple[Row, list[str]]:
        """The row with its envelopes opened, and what is wrong with those that stay as they were."""
        opened, faults = dict(row), []
        for column, value in row.items():
            if not isinstance(value, str) or not value.startswith(PREFIX):
                continue
            try:
                opened[column] = self._value(row, column, value)
            except RowUnopened as fault:
                faults.append(f"{_shown(column)}: {fault}")
        return opened, faults

    def _value(self, row: Row, column: str, envelope: str) -> Any:
        text = self._open(envelope, list(_places(row, column))).decode(errors="backslashreplace")
        return self._group(row, text) if column == _GROUP else text

    def _group(self, row: Row, text: str) -> Any:
        """The members of ``device_info``; a client may have sealed each of them itself before."""
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if not isinstance(members, dict):
            return text
        named = {name: row[name] for name in ("client_id", *KINDS) if name in row}
        inner = {name: value for name, value in members.items() if name not in named and name != _GROUP}
        opened, faults = self.open_row(named | inner)
        if faults:
            raise RowUnopened("; ".join(faults))
        return members | {name: opened[name] for name in inner}

    def _open(self, envelope: str, places: list[Place]) -> bytes:
        key_id = key_id_of(envelope)
        if key_id is None:
            raise RowUnopened("it is no envelope")
        key = self._keys.get(key_id)
        if key is None:
            raise RowUnopened(f"it is sealed for the key {key_id}, which was not given")
        if not places:
            raise RowUnopened("the row lacks client_id, or the event_id, session_id or timestamp that it is bound to")
        for place in places:
            try:
                return open_envelope(envelope, place, key)
            except SealingError:
                continue
        raise RowUnopened("it does not open: it was changed, or stood in another row or column")


def _places(row: Row, column: str) -> Iterator[Place]:
    client_id = row.get("client_id")
    if not isinstance(client_id, str):
        return
    for name, kinds in KINDS.items():
        message_id = _message_id(row.get(name))
        for kind in kinds if message_id else ():
            yield Place(client_id, f"{kind}.{column}", message_id)


def _message_id(value: Any) -> str:
    """As the place has it: times in milliseconds since the epoch."""
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or not _TIME.match(value):
        return value if isinstance(value, str) else ""
    moment = datetime.datetime.fromisoformat(value.removesuffix("Z").removesuffix("+00:00")).replace(tzinfo=datetime.UTC)
    return str((moment - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(milliseconds=1))


def _shown(column: str) -> str:
    """A column's name comes from the row: nothing in it moves the cursor of a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in column[:64])
