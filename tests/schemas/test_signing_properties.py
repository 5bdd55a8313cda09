"""What any writer signs verifies, and what two readers could understand differently is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas import errors, plain_body, signing
from schemas.messages import decode_message
from tests.schemas.json_writings import NESTED, NOW, PUBLIC, Members, Signature, Writer, messages, signed

styles = st.integers(0, 2**32).map(random.Random)
"""Where white space and escapes come in."""


def understood(body: bytes, kind: Any) -> tuple[bytes, bytes | None]:
    """The signed bytes by the scan, after the signature was verified, and by the quick way."""
    message = decode_message(body, kind)
    scanned, text = signing.signed_bytes(body)
    signing.verify(scanned, signing.decode_signature(text), PUBLIC)
    assert message.signature == text
    return scanned, plain_body.signed_bytes(body, message)


@settings(max_examples=500)
@given(message=messages(), style=styles)
def test_what_any_writer_signs_verifies(message: tuple[Any, Members], style: random.Random) -> None:
    kind, members = message
    body, unsigned = signed(members, Writer(style))
    scanned, quick = understood(body, kind)
    assert scanned == unsigned
    assert quick in (None, unsigned)


@settings(max_examples=300)
@given(message=messages(plain=True), style=styles)
def test_a_writing_without_escapes_and_unknown_members_takes_the_quick_way(
    message: tuple[Any, Members], style: random.Random
) -> None:
    kind, members = message
    body, unsigned = signed(members, Writer(style, escapes=0))
    assert understood(body, kind) == (unsigned, unsigned)


def objects_of(members: Members) -> Iterator[Members]:
    """The object and those in it, at any depth."""
    yield members
    for _, value in members:
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            yield from objects_of(value)


@settings(max_examples=500)
@given(message=messages(), style=styles, choice=st.integers(min_value=0))
def test_a_member_twice_is_refused_wherever_and_however_it_is_written(
    message: tuple[Any, Members], style: random.Random, choice: int
) -> None:
    kind, members = message
    objects = list(objects_of(members))
    chosen = objects[choice % len(objects)]
    chosen.insert(style.randrange(len(chosen) + 1), style.choice(chosen))
    body, _ = signed(members, Writer(style))
    with pytest.raises(errors.DuplicateKey):
        signing.signed_bytes(body)
    assert plain_body.signed_bytes(body, decode_message(body, kind)) is None


@given(message=messages(), style=styles)
def test_a_second_signature_is_refused_by_its_escaped_name(message: tuple[Any, Members], style: random.Random) -> None:
    _, members = message
    body, _ = signed(members, Writer(style))
    at = body.index(b"{") + 1
    for name in (
        b'"signatur\\u0065"',
        b'"\\u0073ignature"',
        b'"\\u0073\\u0069\\u0067\\u006E\\u0061\\u0074\\u0075\\u0072\\u0065"',
    ):
        with pytest.raises(errors.DuplicateKey):
            signing.signed_bytes(body[:at] + name + b':"",' + body[at:])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@settings(max_examples=30)
@given(message=messages(), style=styles)
def test_another_encoding_is_refused(message: tuple[Any, Members], style: random.Random, encoding: str) -> None:
    kind, members = message
    body = signed(members, Writer(style))[0].decode().encode(encoding)
    for read in (signing.signed_bytes, lambda body: decode_message(body, kind)):
        with pytest.raises(errors.NotJson):
            read(body)


surrogates = st.characters(categories=["Cs"])


@settings(max_examples=300)
@given(message=messages(), style=styles, half=surrogates, after=st.text(max_size=2), deep=st.booleans(), name=st.booleans())
def test_half_a_surrogate_pair_is_refused(
    message: tuple[Any, Members], style: random.Random, half: str, after: str, deep: bool, name: bool
) -> None:
    """Escaped it is JSON by its grammar, but no text; as bytes it is no UTF-8 (RFC 8259 §8.2, RFC 3629 §3)."""
    kind, members = message
    target = dict(members)[NESTED[kind]] if deep else members
    target.append((half + after, None) if name else ("x half", half + after))
    body, _ = signed(members, Writer(style))
    with pytest.raises(errors.NotJson):
        signing.signed_bytes(body)


@given(message=messages(), style=styles, cut=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_changed_bit_verifies(message: tuple[Any, Members], style: random.Random, cut: int, bit: int) -> None:
    _, members = message
    body, unsigned = signed(members, Writer(style))
    changed = bytearray(body)
    changed[cut % len(body)] ^= 1 << bit
    try:
        scanned, text = signing.signed_bytes(bytes(changed))
        signature = signing.decode_signature(text)
    except errors.ContractError:
        return
    # What may differ is how the signature is written: its escapes, or its digits' case.
    assume(scanned != unsigned or signature != signing.decode_signature(signing.signed_bytes(body)[1]))
    with pytest.raises(errors.BadSignature):
        signing.verify(scanned, signature, PUBLIC)


def test_a_nested_signature_and_one_in_a_string_are_left_alone() -> None:
    members: Members = [
        ("x", [("signature", ""), ("y", '"signature":""')]),
        ("signature", Signature()),
        ("z", [[("signature", "")]]),
    ]
    body, unsigned = signed(members, Writer(random.Random(NOW)))
    assert signing.signed_bytes(body)[0] == unsigned
