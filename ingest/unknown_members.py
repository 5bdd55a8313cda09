"""Counts the members of a message that the protocol does not name: they are ignored, and must not stay unseen."""

from __future__ import annotations

import msgspec

from ingest.metrics import UNKNOWN_MEMBERS
from schemas.messages import Message

_names_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def count_unknown(body: bytes, message: Message) -> None:
    """Count those of a body that decoded to ``message``, in its nested objects too."""
    unknown = _unknown(body, message)
    if unknown:
        UNKNOWN_MEMBERS.labels(type(message).__name__).inc(unknown)


def _unknown(body: bytes | msgspec.Raw, message: msgspec.Struct) -> int:
    members = _names_of(body)
    count = len(members.keys() - set(message.__struct_fields__))
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, msgspec.Struct):
            count += _unknown(members[name], value)
    return count
