"""The quick way to the signed bytes agrees with the scan, or leaves the decision to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import errors, plain_body, signing
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport, decode_message
from tests.schemas import messages_samples as samples

NOW = 1_703_123_456_789
KINDS: dict[Any, dict[str, Any]] = {
    ClientRegistration: samples.registration(NOW),
    Heartbeat: samples.heartbeat(NOW),
    SessionReport: samples.session(NOW),
    SecurityEvent: samples.event(NOW),
}


def both(body: bytes, kind: Any) -> tuple[bytes | None, bytes | None]:
    """What the quick way and the scan say; None for the quick way's doubt and for the scan's refusal."""
    try:
        message = decode_message(body, kind)
    except errors.MessageError:
        return None, None
    try:
        scanned = signing.signed_bytes(body)[0]
    except errors.MessageError:
        scanned = None
    return plain_body.signed_bytes(body, message), scanned


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("indent", [None, 1])
def test_ordinary_bodies_take_the_quick_way(kind: Any, indent: int | None) -> None:
    unsigned = json.dumps(KINDS[kind], indent=indent, ensure_ascii=False).replace("\\n", "").encode()
    body, _ = signing.sign_body(unsigned, samples.SEED)
    assert both(body, kind) == (unsigned, unsigned)


SNIPPETS = [
    b'"client_id":"x",',
    b'"signature":"' + b"A" * 86 + b'",',
    b'"x":1,',
    b'"":"",',
    b'"a":null,',
    b"\\",
    b'\\"',
    b'"',
    b"{",
    b"}",
    b",",
    b":",
    b" ",
    b"null",
    b'"encrypted":true,',
    b"\xff",
    "ü".encode(),
    b'"sealed":"x",',
    b'"end_time":null,',
    b'"end_time":5,',
    b'"node_id":"n",',
]


@settings(max_examples=600)
@given(
    kind=st.sampled_from(list(KINDS)),
    at=st.integers(min_value=0),
    cut=st.integers(0, 12),
    snippet=st.sampled_from(SNIPPETS) | st.binary(max_size=3),
    again=st.integers(min_value=0),
)
@example(kind=Heartbeat, at=1, cut=0, snippet=b'"client_id":"x",', again=1)
def test_the_quick_way_never_contradicts_the_scan(kind: Any, at: int, cut: int, snippet: bytes, again: int) -> None:
    body, _ = samples.sign_as_rust(KINDS[kind])
    for number in (at, again):
        place = number % (len(body) + 1)
        body = body[:place] + snippet + body[place + cut :]
        quick, scanned = both(body, kind)
        assert quick is None or quick == scanned


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_at_every_place(kind: Any, snippet: bytes) -> None:
    body, _ = samples.sign_as_rust(KINDS[kind])
    for at in range(len(body) + 1):
        quick, scanned = both(body[:at] + snippet + body[at:], kind)
        assert quick is None or quick == scanned


def test_a_signature_that_could_stand_between_two_strings_is_left_to_the_scan() -> None:
    body = json.dumps(samples.heartbeat(NOW)).replace('"signature": ""', '"signature":":"').encode()
    assert both(body, Heartbeat) == (None, body.replace(b'":":"', b'":""'))
