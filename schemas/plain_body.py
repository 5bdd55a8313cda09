"""A quick way to the signed bytes of an ordinary body, a few microseconds in place of a scan over its tokens.

A body without a backslash has no escapes, so every string stands in it as it is, and its quotation marks are two a string.
A decoded message tells how many strings its own members need. Where the body has no quotation mark more than that, there is
no room for a member that is unknown or stands twice. The signature's text, 86 characters or more out of an alphabet without
quotation marks, then stands once between two of them, and that is the place.

Any doubt gives None, and ``signing.signed_bytes`` decides.
"""

from __future__ import annotations

import re
import types
import typing
from enum import Enum
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from schemas.messages import Message

_SIGNATURE = re.compile(r"[A-Za-z0-9+/_=-]{86,128}")


def signed_bytes(body: bytes, message: Message) -> bytes | None:
    """The signed bytes of a body that decoded to ``message``; None where only a scan can tell."""
    text = message.signature
    if b"\\" in body or body.count(b'"') != quotation_marks(message) or not _SIGNATURE.fullmatch(text):
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
    return fixed + sum([_of_value(getattr(message, name)) for name in varying])


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
def _shape(kind: type[msgspec.Struct]) -> tuple[int, tuple[str, ...]]:
    """The quotation marks that every message of a kind has, and the members of which that cannot be said."""
    fixed, varying = 0, []
    for field in msgspec.structs.fields(kind):
        marks = _always(field.type) if field.required else None
        if marks is None:
            varying.append(field.encode_name)
        else:
            fixed += 2 + marks
    return fixed, tuple(varying)


def _always(annotation: Any) -> int | None:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (list, typing.Union, types.UnionType):
        return None
    if issubclass(annotation, msgspec.Struct):
        fixed, varying = _shape(annotation)
        return None if varying else fixed
    return 2 if issubclass(annotation, (str, Enum)) else 0
