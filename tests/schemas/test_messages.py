"""Messages: what the specification shows is accepted, and each fault is named without its value."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas import errors
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport, decode_message
from tests.schemas import messages_samples as samples

NOW = 1_703_123_456_789
EXAMPLES: dict[Any, dict[str, Any]] = {
    ClientRegistration: samples.registration(NOW),
    Heartbeat: samples.heartbeat(NOW),
    SessionReport: samples.session(NOW),
    SecurityEvent: samples.event(NOW),
}
SECRET = "s3cret-value"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_examples_of_the_specification_are_messages(kind: Any) -> None:
    message = decode_message(samples.compact(EXAMPLES[kind]), kind)
    assert message.client_id == samples.CLIENT_ID


def paths(kind: Any) -> list[tuple[str, ...]]:
    found = []
    for name, value in EXAMPLES[kind].items():
        found.append((name,))
        if isinstance(value, dict):
            found += [(name, inner) for inner in value]
    return found


def changed(kind: Any, path: tuple[str, ...], change: Any) -> bytes:
    message = copy.deepcopy(EXAMPLES[kind])
    parent = message[path[0]] if len(path) == 2 else message
    change(parent, path[-1])
    return samples.compact(message)


OPTIONAL = {("details", "source_ip"), ("details", "error_code")}
REQUIRED = [(kind, path) for kind in EXAMPLES for path in paths(kind) if path not in OPTIONAL]


@pytest.mark.parametrize(("kind", "path"), REQUIRED, ids=str)
def test_a_missing_member_is_named(kind: Any, path: tuple[str, ...]) -> None:
    body = changed(kind, path, lambda parent, name: parent.pop(name))
    with pytest.raises(errors.InvalidMessage) as fault:
        decode_message(body, kind)
    assert fault.value.member == ".".join(path)


@pytest.mark.parametrize(("kind", "path"), [(k, p) for k in EXAMPLES for p in paths(k)], ids=str)
def test_a_member_of_another_type_is_named_and_its_value_is_not(kind: Any, path: tuple[str, ...]) -> None:
    body = changed(kind, path, lambda parent, name: parent.update({name: [SECRET, {"x": SECRET}]}))
    with pytest.raises(errors.InvalidMessage) as fault:
        decode_message(body, kind)
    assert fault.value.member.startswith(".".join(path))
    assert SECRET not in str(fault.value)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (Heartbeat, ("status",), "gone"),
        (Heartbeat, ("client_id",), "a b"),
        (Heartbeat, ("client_id",), "a\n"),
        (Heartbeat, ("client_id",), ""),
        (Heartbeat, ("client_id",), "x" * 129),
        (Heartbeat, ("timestamp",), -1),
        (Heartbeat, ("timestamp",), 2**64),
        (Heartbeat, ("timestamp",), 1.5),
        (Heartbeat, ("timestamp",), True),
        (Heartbeat, ("metrics", "uptime"), -1),
        (Heartbeat, ("metrics", "encrypted"), False),
        (SessionReport, ("session_type",), "vpn"),
        (SessionReport, ("session_id",), "a\x00b"),
        (SecurityEvent, ("severity",), "fatal"),
        (SecurityEvent, ("event_id",), ""),
        (ClientRegistration, ("capabilities",), ["x"] * 65),
    ],
)
def test_a_value_out_of_range_is_named(kind: Any, path: tuple[str, ...], value: Any) -> None:
    body = changed(kind, path, lambda parent, name: parent.update({name: value}))
    with pytest.raises(errors.InvalidMessage) as fault:
        decode_message(body, kind)
    assert fault.value.member == ".".join(path)


def test_unknown_members_are_ignored() -> None:
    body = samples.compact({**EXAMPLES[Heartbeat], "extra": {"deep": [1]}})
    assert decode_message(body, Heartbeat).status == "online"


@pytest.mark.parametrize("body", [b"", b"{", b'{"client_id":NaN}', b'{"a":Infinity}', b'{"x":' * 10_000, b"\xef\xbb\xbf{}"])
def test_what_is_not_json_is_said_to_be_so(body: bytes) -> None:
    with pytest.raises(errors.NotJson):
        decode_message(body, Heartbeat)
