"""A quick way to the signed bytes of an ordinary body, a few microseconds in place of a scan over its tokens.

A body without a backslash has no escapes, so every string stands in it as it is, and its quotation marks are two a string.
A decoded message tells how many strings its own members need. Where the body has no quotation mark more than that, there is
no room for a member that is unknown or stands twice. Where the signature's text then stands only once between two of them,
that is the place: between the end of one string and the start of the next there is always a comma or a colon, and the text
has neither.

Any doubt gives None, and ``signing.signed_bytes`` decides.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET

from schemas.messages import Message


def signed_bytes(body: bytes, message: Message) -> bytes | None:
    """The signed bytes of a body that decoded to ``message``; None where only a scan can tell."""
    text = message.signature
    if b"\\" in body or body.count(b'"') != quotation_marks(message) or "," in text or ":" in text:
        return None
    quoted = b'"' + text.encode() + b'"'
    before, found, after = body.partition(quoted)
    if not found or quoted in after:
        return None
    return before + b'""' + after


def quotation_marks(message: Any) -> int:
    """How many quotation marks the members of a decoded message take up in a body without escapes."""
    kind: type[msgspec.Struct] = type(message)
    fixed, varying = _shape(kind)
    for member in varying:
        fixed += _of_value(member(message))
    return fixed


def _of_value(value: Any) -> int:
    if value is UNSET:
        return 0
    return 2 + _of_content(value)


def _of_content(value: Any) -> int:
    if isinstance(value, str):
        return 2
    if isinstance(value, msgspec.Struct):
        return quotation_marks(value)
    if isinstance(value, list):
        return sum(_of_content(item) for item in value)
    return 0


@cache
def _shape(kind: type[msgspec.Struct]) -> tuple[int, tuple[Callable[[Any], Any], ...]]:
    """The quotation marks that every message of a kind has, and getters of the members of which that cannot be said."""
    fixed, varying = _members(kind, "")
    return fixed, tuple(attrgetter(path) for path in varying)


def _members(kind: type[msgspec.Struct], prefix: str) -> tuple[int, list[str]]:
    fixed: int = 0
    varying: list[str] = []
    for field in msgspec.structs.fields(kind):
        path = prefix + field.encode_name
        annotation = _bare(field.type)
        if not field.required or typing.get_origin(annotation) in (list, typing.Union, types.UnionType):
            varying.append(path)
        elif issubclass(annotation, msgspec.Struct):
            inner_fixed, inner_varying = _members(annotation, path + ".")
            fixed += 2 + inner_fixed
            varying += inner_varying
        else:
            fixed += 4 if issubclass(annotation, (str, Enum)) else 2
    return fixed, varying


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
