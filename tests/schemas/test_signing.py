"""Signatures: the published vectors, checked with a second implementation, and the JSON rules as properties."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from schemas import errors, signing
from schemas.json_document import MAX_DEPTH, top_level_members
from tests.schemas import make_vectors

VECTORS: dict[str, Any] = json.loads(make_vectors.PATH.read_text(encoding="utf-8"))
SEED = bytes(range(32))
PUBLIC = signing.public_key_of(SEED)


def test_the_published_vectors_are_the_current_ones() -> None:
    assert make_vectors.vectors() == VECTORS


@pytest.mark.parametrize("vector", VECTORS["post"] + VECTORS["get"], ids=lambda v: v["name"])
def test_vectors_verify_under_openssl(vector: dict[str, Any]) -> None:
    key = serialization.load_pem_public_key(vector["public_key"].encode())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(bytes.fromhex(vector["signature"]["hex_upper"]), vector["signed_bytes"].encode())


@pytest.mark.parametrize("vector", VECTORS["post"], ids=lambda v: v["name"])
@pytest.mark.parametrize("form", ["hex_upper", "hex_lower", "base64url", "base64"])
def test_a_body_gives_back_its_signed_bytes(vector: dict[str, Any], form: str) -> None:
    raw = bytes.fromhex(vector["signature"]["hex_upper"])
    forms = {**vector["signature"], "hex_lower": raw.hex(), "base64": base64.b64encode(raw).decode()}
    body = vector["body"].replace(vector["signature"]["base64url"], forms[form]).encode()
    signed, text = signing.signed_bytes(body)
    assert signed == vector["signed_bytes"].encode()
    signing.verify(signed, signing.decode_signature(text), signing.public_key_from_pem(vector["public_key"]))


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_refused_bodies_name_their_fault(vector: dict[str, Any]) -> None:
    with pytest.raises(getattr(errors, vector["error"])):
        signing.signed_bytes(vector["body"].encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    members=st.dictionaries(st.text().filter(lambda name: name != "signature"), json_values, max_size=6),
    place=st.integers(0, 6),
    indent=st.sampled_from([None, 0, 3, "\t"]),
    ascii_only=st.booleans(),
)
def test_any_writer_of_json_is_understood(members: dict[str, Any], place: int, indent: Any, ascii_only: bool) -> None:
    items = list(members.items())
    items.insert(place, ("signature", ""))
    unsigned = json.dumps(dict(items), indent=indent, ensure_ascii=ascii_only).encode()
    body, text = signing.sign_body(unsigned, SEED)
    signed, again = signing.signed_bytes(body)
    assert (signed, again) == (unsigned, text)
    signing.verify(signed, signing.decode_signature(text), PUBLIC)
    values = {name: json.loads(body[span.start : span.end]) for name, span in top_level_members(body).items()}
    assert values == {**members, "signature": text}


@given(at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_changed_byte_verifies(at: int, bit: int) -> None:
    body = bytearray(VECTORS["post"][0]["body"].encode())
    body[at % len(body)] ^= 1 << bit
    key = signing.public_key_from_pem(VECTORS["post"][0]["public_key"])
    with pytest.raises(errors.ContractError):
        verify_body(bytes(body), key)


def verify_body(body: bytes, key: bytes) -> None:
    signed, text = signing.signed_bytes(body)
    signing.verify(signed, signing.decode_signature(text), key)


def test_what_has_another_length_does_not_verify() -> None:
    signature = signing.sign(b"message", SEED)
    signing.verify(b"message", signature, PUBLIC)
    for changed, key in [(signature[:63], PUBLIC), (signature + b"m", PUBLIC), (b"", PUBLIC), (signature, PUBLIC[:31])]:
        with pytest.raises(errors.BadSignature):
            signing.verify(b"essage" if len(changed) == 65 else b"message", changed, key)


@pytest.mark.parametrize(
    "text",
    ["", "00", "zz" * 64, "A" * 85, "A" * 87, "A" * 85 + "B", "A" * 86 + "=", "0" * 127, "0" * 129, "ß" * 86],
)
def test_what_is_not_64_bytes_is_malformed(text: str) -> None:
    with pytest.raises(errors.MalformedSignature):
        signing.decode_signature(text)


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_small_order_keys_are_refused(key: str) -> None:
    with pytest.raises(errors.BadPublicKey):
        signing.check_public_key(bytes.fromhex(key))


def test_public_keys_survive_pem() -> None:
    assert signing.public_key_from_pem(signing.public_key_to_pem(PUBLIC)) == PUBLIC


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "x" * 600])
def test_what_is_not_a_key_is_refused(pem: str) -> None:
    with pytest.raises(errors.BadPublicKey):
        signing.public_key_from_pem(pem)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000, 500_000])
def test_deep_nesting_is_refused_in_bounded_time(depth: int) -> None:
    body = b'{"signature":"","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    with pytest.raises(errors.NotJson):
        signing.signed_bytes(body)


def test_nesting_up_to_the_limit_is_accepted() -> None:
    body = b'{"signature":"","x":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert signing.signed_bytes(body) == (body, "")
