"""Reading a hostile JSON object: where its top-level members stand, and that none stands twice.

Parsers keep the last of two equal names silently, so that the verifier and a later reader could see different messages.
Here such a body is refused, in every object of it, before anything else looks at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from schemas.errors import DuplicateKey, NotJson

MAX_DEPTH = 32

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]', re.DOTALL)
_OPEN, _CLOSE = b"{[", b"}]"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a member's value stands in the body: ``body[start:end]``, in bytes."""

    start: int
    end: int


def top_level_members(body: bytes) -> dict[str, Span]:
    """Map each top-level member of a JSON object to the span of its value.

    Raises:
        NotJson: the body is not one JSON object in UTF-8 (RFC 8259), or nests deeper than ``MAX_DEPTH``.
        DuplicateKey: some object of the body names a member twice (compared after unescaping).
    """
    check_syntax(body)
    return _Scan(body).run()


def check_syntax(body: bytes) -> None:
    """Raise NotJson unless the body is one well-formed JSON object in UTF-8."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotJson("the body is not UTF-8") from None
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise NotJson("the body is not a JSON object") from None
    except (msgspec.DecodeError, RecursionError):
        raise NotJson("the body is not well-formed JSON") from None


class _Scan:
    """One pass over the tokens of a well-formed object. Needs no stack deeper than ``MAX_DEPTH``."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._names: list[set[str] | None] = []  # per open container: names seen, or None for an array
        self._members: dict[str, Span] = {}
        self._name: str | None = None  # the top-level member whose value is being read
        self._value_start = 0
        self._expect_name = False

    def run(self) -> dict[str, Span]:
        for match in _TOKEN.finditer(self._body):
            self._token(match)
        return self._members

    def _token(self, match: re.Match[bytes]) -> None:
        token = match.group()
        if token in _OPEN:
            self._open(token)
        elif token in _CLOSE:
            self._end_of_value(match.start())
            self._names.pop()
            self._expect_name = False
        elif token == b",":
            self._end_of_value(match.start())
            self._expect_name = self._names[-1] is not None
        elif token == b":":
            self._value_start = match.end() if len(self._names) == 1 else self._value_start
        elif self._expect_name:
            self._member_name(token)

    def _open(self, token: bytes) -> None:
        if len(self._names) == MAX_DEPTH:
            raise NotJson(f"the body nests deeper than {MAX_DEPTH} levels")
        self._names.append(set() if token == b"{" else None)
        self._expect_name = token == b"{"

    def _member_name(self, token: bytes) -> None:
        name = msgspec.json.decode(token, type=str) if b"\\" in token else token[1:-1].decode()
        seen = self._names[-1]
        if seen is None or name in seen:
            raise DuplicateKey("an object names one of its members twice")
        seen.add(name)
        self._expect_name = False
        if len(self._names) == 1:
            self._name = name

    def _end_of_value(self, at: int) -> None:
        if len(self._names) == 1 and self._name is not None:
            raw = self._body[self._value_start : at]
            start = self._value_start + len(raw) - len(raw.lstrip())
            self._members[self._name] = Span(start, self._value_start + len(raw.rstrip()))
            self._name = None
