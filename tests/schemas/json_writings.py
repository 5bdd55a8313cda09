"""JSON as any writer may write it: members in any order, white space and escapes anywhere, numbers in odd forms.

Messages are signed here with OpenSSL's Ed25519, over text that was put together here, so that nothing of the code under test
has a part in them.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from tests.schemas import messages_samples as samples

NOW = 1_703_123_456_789
KEY = Ed25519PrivateKey.from_private_bytes(samples.SEED)
PUBLIC = KEY.public_key().public_bytes_raw()
_PLACEHOLDER = "\0signature\0"
_SHORT = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "/": "\\/"}


class Signature:
    """Stands for the value of the member that is signed."""


@dataclass
class Number:
    """A number as it is written."""

    text: str


Members = list[tuple[str, Any]]
"""An object: names may stand twice, and the order is kept."""


@dataclass
class Writer:
    """Writes JSON text. ``escapes``: how often a character is escaped that need not be; some writers never do."""

    chance: random.Random
    escapes: float | None = None

    def __post_init__(self) -> None:
        self.escapes = self.chance.choice((0, 0.005, 0.2)) if self.escapes is None else self.escapes

    def value(self, value: Any) -> str:
        if isinstance(value, list) and all(isinstance(item, tuple) for item in value) and value:
            inner = ",".join(f"{self.space()}{self.string(name)}{self.space()}:{self.value(item)}" for name, item in value)
            return self.space() + "{" + inner + self.space() + "}" + self.space()
        if isinstance(value, list):
            return self.space() + "[" + ",".join(map(self.value, value)) + self.space() + "]" + self.space()
        return self.space() + self._scalar(value) + self.space()

    def _scalar(self, value: Any) -> str:
        if isinstance(value, Signature):
            return _PLACEHOLDER
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, Number):
            return value.text
        return {None: "null", True: "true", False: "false"}[value]

    def space(self) -> str:
        return self.chance.choice(("", "", "", "", " ", "\n", "\t", "\r\n  "))

    def string(self, text: str) -> str:
        return '"' + "".join(map(self._character, text)) + '"'

    def _character(self, char: str) -> str:
        needed = char in '"\\' or char < " "
        if not needed and self.chance.random() >= (self.escapes or 0):
            return char
        if char in _SHORT and self.chance.random() < 0.5:
            return _SHORT[char]
        units = char.encode("utf-16-be", "surrogatepass")
        escaped = "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
        return escaped if self.chance.random() < 0.5 else escaped.upper().replace("U", "u")


def signed(members: Members, writer: Writer) -> tuple[bytes, bytes]:
    """The body with its signature in it, and the bytes that were signed."""
    text = writer.value(members)
    unsigned = text.replace(_PLACEHOLDER, '""').encode("utf-8", "surrogatepass")
    written = writer.string(_signature_text(KEY.sign(unsigned), writer.chance))
    return text.replace(_PLACEHOLDER, written).encode("utf-8", "surrogatepass"), unsigned


def _signature_text(raw: bytes, chance: random.Random) -> str:
    texts = (raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    return chance.choice((*texts, texts[3].rstrip("=")))


NUMBERS = ("0", "-0", "-0.0", "1E+5", "1e-400", "1e400", "0.1e1", "18446744073709551616", "9" * 60, "-1.50", "5e-324")
NASTY = (
    "signature",
    '"signature":""',
    ',"signature":"","x":',
    '\\"signature\\":\\"\\"',
    '"',
    "\\",
    "\\u0000",
    "}",
    "{",
    "\0",
    "é😀",
)
texts = st.text(max_size=12) | st.sampled_from(NASTY)
plain_texts = st.text(st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=32), max_size=20)
scalars = (
    st.none() | st.booleans() | texts | st.sampled_from(NUMBERS).map(Number) | st.integers().map(lambda n: Number(str(n)))
)


def objects(values: Any) -> st.SearchStrategy[Members]:
    return st.dictionaries(texts, values, min_size=1, max_size=4).map(lambda members: list(members.items()))


values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=8)
unknown_members = st.dictionaries(texts.map(lambda name: "x" + name) | st.just("Signature"), values, max_size=3)
NESTED = {ClientRegistration: "device_info", Heartbeat: "metrics", SessionReport: "metadata", SecurityEvent: "details"}
KINDS = list(NESTED)


@st.composite
def messages(draw: st.DrawFn, *, plain: bool = False) -> tuple[Any, Members]:
    """A message of some kind: its known members with text of every sort, unknown ones between them, in any order.

    ``plain``: without unknown members and without text that needs escapes, as the line ends of a registration's PEM do.
    """
    kind = draw(st.sampled_from([kind for kind in KINDS if not plain or kind is not ClientRegistration]))
    make = {
        ClientRegistration: samples.registration,
        Heartbeat: samples.heartbeat,
        SessionReport: samples.session,
        SecurityEvent: samples.event,
    }
    message = make[kind](NOW)
    nested = message[NESTED[kind]]
    for name in ("os_type", "device_id", "user_agent", "description", "error_code"):
        if name in nested:
            nested[name] = draw(plain_texts if plain else st.text(max_size=30) | st.sampled_from(NASTY))
    inner, outer = ({}, {}) if plain else (draw(unknown_members), draw(unknown_members))
    if not plain and draw(st.booleans()):
        inner["signature"] = draw(texts)  # not the one that is signed
    message[NESTED[kind]] = draw(st.permutations(_members({**inner, **nested})))
    members = _members({**outer, **message, "signature": Signature()})
    return kind, draw(st.permutations(members))


def _members(values_: dict[str, Any]) -> Members:
    return [(name, _written(value)) for name, value in values_.items()]


def _written(value: Any) -> Any:
    return Number(str(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
