"""Envelopes and addresses."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SealingError
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from schemas.privacy import ADDRESSES, SENSITIVE, is_truncated, pseudonym, truncate_address
from schemas.sealing import Place, SealingKey, is_envelope, key_id_of, open_envelope, padded_length
from schemas.sealing_suites import HybridPrivateKey, PrivateKey, load_private, pem_blocks, private_pem, raw_public_key

PLACE = Place("c-1", "event.description", "e-1")
KEYS = {
    "X25519": X25519PrivateKey.generate(),
    "MLKEM768-X25519": HybridPrivateKey(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()),
}
both_suites = pytest.mark.parametrize("private", KEYS.values(), ids=KEYS)


@both_suites
@given(st.binary(max_size=3000))
def test_what_is_sealed_opens_at_its_place(private: PrivateKey, plaintext: bytes) -> None:
    key = SealingKey(private.public_key())
    envelope = key.seal(plaintext, PLACE)
    assert is_envelope(envelope, key)
    assert key_id_of(envelope) == key.key_id
    assert open_envelope(envelope, PLACE, private) == plaintext


@both_suites
@given(st.integers(0, 40_000))
def test_the_length_of_an_envelope_comes_from_the_padding_set_alone(private: PrivateKey, length: int) -> None:
    key = SealingKey(private.public_key())
    envelope = key.seal(b"x" * length, PLACE)
    raw = base64.urlsafe_b64decode(envelope[5:] + "==")
    padded = len(raw) - 1 - 8 - key.suite.enc_bytes - 16
    assert padded == padded_length(length + 4) == padded_length(padded) >= 256


@both_suites
def test_what_was_padded_otherwise_is_no_envelope(private: PrivateKey) -> None:
    key = SealingKey(private.public_key())
    raw = base64.urlsafe_b64decode(key.seal(b"x" * 300, PLACE)[5:] + "==")
    for changed in (raw + b"\0", raw[:-1]):
        text = "vws1:" + base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert not is_envelope(text, key)
        assert key_id_of(text) is None


@both_suites
@pytest.mark.parametrize(
    "place",
    [
        Place("c-2", "event.description", "e-1"),
        Place("c-1", "session.internal_ip", "e-1"),
        Place("c-1", "event.description", "e-2"),
        Place("c-1", "event.descriptione", "-1"),
    ],
)
def test_an_envelope_opens_nowhere_else(private: PrivateKey, place: Place) -> None:
    with pytest.raises(SealingError):
        open_envelope(SealingKey(private.public_key()).seal(b"x", PLACE), place, private)


def test_an_envelope_of_the_other_suite_does_not_open() -> None:
    one, other = KEYS.values()
    for sealing, opening in ((one, other), (other, one)):
        envelope = SealingKey(sealing.public_key()).seal(b"x", PLACE)
        assert not is_envelope(envelope, SealingKey(opening.public_key()))
        with pytest.raises(SealingError):
            open_envelope(envelope, PLACE, opening)


@both_suites
def test_an_envelope_for_another_key_or_of_another_form_is_none(private: PrivateKey) -> None:
    key = SealingKey(private.public_key())
    envelope = key.seal(b"x", PLACE)
    assert not is_envelope(envelope, SealingKey(X25519PrivateKey.generate().public_key()))
    relabelled = "vws1:" + base64.urlsafe_b64encode(b"\x03" + base64.urlsafe_b64decode(envelope[5:] + "==")[1:]).decode()
    for text in ("", "vws1:", envelope[:-40], envelope.upper(), " " + envelope, envelope + "\n", envelope[:-1] + "ü"):
        assert not is_envelope(text, key)
    assert not is_envelope(relabelled.rstrip("="), key)
    assert not is_envelope(envelope + "=", key)


@given(st.integers(0, 100_000))
def test_padding_hides_the_length(length: int) -> None:
    padded = padded_length(length)
    assert padded >= max(length, 256)
    assert padded <= max(256, length * 1.12)
    assert padded_length(padded) == padded


@both_suites
def test_a_public_key_is_read_back_from_its_pem_in_any_order(private: PrivateKey) -> None:
    key = SealingKey(private.public_key())
    blocks = pem_blocks(key.pem().encode())
    for order in (blocks, blocks[::-1]):
        read = SealingKey.from_pem(b"a comment\n" + b"".join(order))
        assert (read.key_id, read.suite) == (key.key_id, key.suite)
    assert key.fingerprint.startswith(key.key_id)


def test_an_x25519_key_keeps_the_id_that_it_had_before_there_were_suites() -> None:
    key = SealingKey(X25519PrivateKey.from_private_bytes(b"s" * 32).public_key())
    assert key.key_id == hashlib.sha256(key.public_key.public_bytes_raw()).hexdigest()[:16]  # type: ignore[union-attr]


@both_suites
def test_a_private_key_is_refused_and_read_with_its_passphrase_alone(private: PrivateKey) -> None:
    plain, locked = (private_pem(private, each) for each in (NoEncryption(), BestAvailableEncryption(b"secret")))
    for pem in (plain, locked):
        with pytest.raises(SealingError, match="private key"):
            SealingKey.from_pem(pem)
    for pem, passphrase in ((plain, None), (locked, b"secret")):
        assert raw_public_key(load_private(pem, passphrase).public_key()) == raw_public_key(private.public_key())
    for pem, passphrase, complaint in ((plain, b"x", "not encrypted"), (locked, None, "encrypted"), (locked, b"x", "wrong")):
        with pytest.raises(SealingError, match=complaint):
            load_private(pem, passphrase)


def pem_of(*keys: X25519PublicKey | MLKEM768PublicKey | Ed25519PublicKey) -> bytes:
    return b"".join(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys)


A_KEY, MLKEM = KEYS["X25519"].public_key(), MLKEM768PrivateKey.generate().public_key()
UNFIT = {
    "nothing": b"",
    "half of a pair": pem_of(MLKEM),
    "two alike": pem_of(A_KEY, A_KEY),  # type: ignore[arg-type]
    "three": pem_of(A_KEY, MLKEM, A_KEY),  # type: ignore[arg-type]
    "another kind": pem_of(Ed25519PrivateKey.generate().public_key()),
    "small order": pem_of(X25519PublicKey.from_public_bytes(b"\0" * 32)),
    "broken": b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
    "large": b" " * 20_000,
}


@pytest.mark.parametrize("pem", UNFIT.values(), ids=UNFIT)
def test_any_other_sealing_key_is_refused(pem: bytes) -> None:
    with pytest.raises(SealingError):
        SealingKey.from_pem(pem)


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
