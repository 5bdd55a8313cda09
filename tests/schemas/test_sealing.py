"""Envelopes and addresses."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SealingError
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from schemas.privacy import ADDRESSES, SENSITIVE, is_truncated, pseudonym, truncate_address
from schemas.sealing import Place, SealingKey, is_envelope, open_envelope, padded_length

PRIVATE = X25519PrivateKey.generate()
KEY = SealingKey(PRIVATE.public_key())
PLACE = Place("c-1", "event.description", "e-1")


@given(st.binary(max_size=3000))
def test_what_is_sealed_opens_at_its_place(plaintext: bytes) -> None:
    envelope = KEY.seal(plaintext, PLACE)
    assert is_envelope(envelope, KEY.key_id)
    assert open_envelope(envelope, PLACE, PRIVATE) == plaintext


@pytest.mark.parametrize(
    "place",
    [
        Place("c-2", "event.description", "e-1"),
        Place("c-1", "session.internal_ip", "e-1"),
        Place("c-1", "event.description", "e-2"),
        Place("c-1", "event.descriptione", "-1"),
    ],
)
def test_an_envelope_opens_nowhere_else(place: Place) -> None:
    with pytest.raises(SealingError):
        open_envelope(KEY.seal(b"x", PLACE), place, PRIVATE)


@given(at=st.integers(min_value=0), to=st.sampled_from("ABCDabcd0123-_"))
def test_a_changed_envelope_does_not_open(at: int, to: str) -> None:
    envelope = KEY.seal(b"x" * 300, PLACE)
    at %= len(envelope) - 1  # the last character's low bits are not data
    changed = envelope[:at] + to + envelope[at + 1 :]
    if changed != envelope:
        with pytest.raises(SealingError):
            open_envelope(changed, PLACE, PRIVATE)


def test_an_envelope_for_another_key_or_of_another_form_is_none() -> None:
    envelope = KEY.seal(b"x", PLACE)
    other = SealingKey(X25519PrivateKey.generate().public_key())
    assert not is_envelope(envelope, other.key_id)
    assert not is_envelope(envelope, "")
    for text in ("", "vws1:", envelope[:-40], envelope.upper(), " " + envelope, envelope + "\n", envelope[:-1] + "ü"):
        assert not is_envelope(text, KEY.key_id)


@given(st.integers(0, 100_000))
def test_padding_hides_the_length(length: int) -> None:
    padded = padded_length(length)
    assert padded >= max(length, 256)
    assert padded <= max(256, length * 1.12)
    assert padded_length(padded) == padded


def test_a_private_key_is_refused() -> None:
    pem = PRIVATE.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(SealingError, match="private key"):
        SealingKey.from_pem(pem)
    assert SealingKey.from_pem(KEY.pem().encode()).key_id == KEY.key_id


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.168.1.100", "192.168.1.0"),
        ("::ffff:192.168.1.100", "192.168.1.0"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        (" 10.0.0.1 ", "10.0.0.0"),
        ("host.internal", ""),
        ("", ""),
        ("fe80::1%eth0", "fe80::"),
        ("fe80::1%the secret zone", "fe80::"),
        ("2002:c0a8:0164::1", "2002:c0a8:100::"),
        ("64:ff9b::192.168.1.100", "64:ff9b::"),
        ("192.168.1.100/24", ""),
        ("192.168.1.100:443", ""),
    ],
)
def test_an_address_is_cut_to_its_network(address: str, network: str) -> None:
    assert truncate_address(address) == network


@pytest.mark.parametrize("text", ["192.168.1.0", "2001:db8:1::", "2002:c0a8:100::", "fe80::", "::", "0.0.0.0", ""])
def test_the_text_of_a_network_says_no_more_than_the_network(text: str) -> None:
    assert is_truncated(text)


@pytest.mark.parametrize(
    "text",
    [
        "192.168.1.100",
        "192.168.1.0 ",
        " 192.168.1.0",
        "192.168.1.0/24",
        "192.168.1.0%eth0",
        "::ffff:192.168.1.100",
        "::ffff:192.168.1.0",
        "2001:db8:1:2::",
        "2001:DB8:1::",
        "2001:0db8:0001:0:0:0:0:0",
        "2001:db8:1::%eth0",
        "2002:c0a8:164::",
        "host.internal",
        "unknown",
        "192.168.1.0\n",
        "\u0661.2.3.0",
    ],
)
def test_any_other_text_of_an_address_says_more(text: str) -> None:
    assert not is_truncated(text)


@given(st.ip_addresses().map(str))
def test_what_is_cut_once_stays(address: str) -> None:
    assert is_truncated(truncate_address(address))


@given(st.text())
def test_any_text_has_a_network_or_none_and_a_pseudonym(text: str) -> None:
    assert is_truncated(truncate_address(text))
    assert len(pseudonym(text, b"k" * 32)) == 32


def test_a_zone_is_no_part_of_an_address() -> None:
    assert pseudonym("fe80::1%eth0", b"k" * 32) == pseudonym("fe80::1", b"k" * 32)


def test_a_pseudonym_joins_spellings_and_depends_on_the_key() -> None:
    key = b"k" * 32
    assert pseudonym("2001:db8::1", key) == pseudonym("2001:DB8:0::1", key)
    assert pseudonym("10.0.0.1", key) != pseudonym("10.0.0.2", key)
    assert pseudonym("10.0.0.1", key) != pseudonym("10.0.0.1", b"j" * 32)
    assert "10.0.0" not in pseudonym("10.0.0.1", key)


@pytest.mark.parametrize("table", [SENSITIVE, ADDRESSES])
def test_the_tables_name_members_that_exist(table: dict[type, tuple[str, ...]]) -> None:
    nested = {ClientRegistration: "device_info", Heartbeat: "metrics", SessionReport: "metadata", SecurityEvent: "details"}
    for message, members in table.items():
        for member in members:
            group, name = member.split(".")
            assert group == nested[message]
            inner = message.__annotations__[group]
            inner_type = getattr(__import__("schemas.messages", fromlist=["x"]), inner)
            assert name in inner_type.__struct_fields__
