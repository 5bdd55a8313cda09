"""The two suites of sealed values, and the SOC's keys for each, as PEM.

1 is X25519; 2 is MLKEM768-X25519 (X-Wing, draft-connolly-cfrg-xwing-kem), which also keeps what is recorded today from a
quantum computer of tomorrow. Both go on with HKDF-SHA256 and AES-256-GCM. A key of suite 2 is two standard PEM blocks, one
of ML-KEM-768 (draft-ietf-lamps-kyber-certificates) and one of X25519 (RFC 8410): libraries read them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from schemas.errors import SealingError

MAX_PEM_BYTES = 16 * 1024
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]{1,40})-----[^-]{1,8192}-----END \1-----")


@dataclass(frozen=True, slots=True)
class HybridPublicKey:
    """A public key of suite 2: its two halves."""

    mlkem: MLKEM768PublicKey
    x25519: X25519PublicKey

    def joined(self) -> MLKEM768X25519PublicKey:
        return MLKEM768X25519PublicKey(self.mlkem, self.x25519)


@dataclass(frozen=True, slots=True)
class HybridPrivateKey:
    """A private key of suite 2: its two halves."""

    mlkem: MLKEM768PrivateKey
    x25519: X25519PrivateKey

    def public_key(self) -> HybridPublicKey:
        return HybridPublicKey(self.mlkem.public_key(), self.x25519.public_key())

    def joined(self) -> MLKEM768X25519PrivateKey:
        return MLKEM768X25519PrivateKey(self.mlkem, self.x25519)


PublicKey = X25519PublicKey | HybridPublicKey
PrivateKey = X25519PrivateKey | HybridPrivateKey


@dataclass(frozen=True, slots=True)
class SealingSuite:
    """``id`` is the first byte of an envelope, ``enc_bytes`` the length of the encapsulated key that follows."""

    id: int
    name: str
    enc_bytes: int
    hpke: Suite


X25519 = SealingSuite(1, "X25519", 32, Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM))
MLKEM768_X25519 = SealingSuite(2, "MLKEM768-X25519", 1120, Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM))
SUITES = {suite.id: suite for suite in (X25519, MLKEM768_X25519)}


def suite_of(key: PublicKey | PrivateKey) -> SealingSuite:
    """The suite that a key is for."""
    return MLKEM768_X25519 if isinstance(key, HybridPublicKey | HybridPrivateKey) else X25519


def raw_public_key(key: PublicKey) -> bytes:
    """What a key's id is made from: the raw X25519 key, of suite 2 after the raw ML-KEM key."""
    return b"".join(half.public_bytes_raw() for half in halves_of(key))


def halves_of(key: PublicKey) -> tuple[MLKEM768PublicKey | X25519PublicKey, ...]:
    """The keys that a public key consists of, in the order of its PEM blocks."""
    return (key.mlkem, key.x25519) if isinstance(key, HybridPublicKey) else (key,)


def encrypt(plaintext: bytes, key: PublicKey, info: bytes) -> bytes:
    """HPKE, base mode, one message: ``enc || ciphertext``."""
    return suite_of(key).hpke.encrypt(plaintext, key.joined() if isinstance(key, HybridPublicKey) else key, info)


def decrypt(sealed: bytes, key: PrivateKey, info: bytes) -> bytes:
    """Raises cryptography's InvalidTag, ValueError."""
    return suite_of(key).hpke.decrypt(sealed, key.joined() if isinstance(key, HybridPrivateKey) else key, info)


def public_pem(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, one block a half."""
    spki = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return b"".join(half.public_bytes(*spki) for half in halves_of(key))


def private_pem(key: PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    """PKCS #8, one block a half."""
    halves = (key.mlkem, key.x25519) if isinstance(key, HybridPrivateKey) else (key,)
    return b"".join(half.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) for half in halves)


def load_public(pem: bytes) -> PublicKey:
    """Read a public key of either suite. Raises SealingError for anything else, a private key above all."""
    if b"PRIVATE KEY" in pem:
        raise SealingError("this is a private key; only the SOC's public key belongs here")
    try:
        keys = [load_pem_public_key(block) for block in pem_blocks(pem)]
    except (ValueError, UnsupportedAlgorithm):
        raise SealingError("the sealing key is not a PEM SubjectPublicKeyInfo") from None
    match sorted(keys, key=_name):
        case [X25519PublicKey() as key]:
            return _usable(key)
        case [MLKEM768PublicKey() as mlkem, X25519PublicKey() as x25519]:
            return _usable(HybridPublicKey(mlkem, x25519))
    raise SealingError("the sealing key is neither an X25519 key nor one of ML-KEM-768 and one of X25519")


def load_private(pem: bytes, passphrase: bytes | None) -> PrivateKey:
    """Read a private key of either suite. Raises SealingError; a passphrase too many or too few is named."""
    try:
        keys = [load_pem_private_key(block, passphrase) for block in pem_blocks(pem)]
    except TypeError:
        raise SealingError(f"the private key is {'' if passphrase is None else 'not '}encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SealingError("the private key cannot be read, or the passphrase is wrong") from None
    match sorted(keys, key=_name):
        case [X25519PrivateKey() as key]:
            return key
        case [MLKEM768PrivateKey() as mlkem, X25519PrivateKey() as x25519]:
            return HybridPrivateKey(mlkem, x25519)
    raise SealingError("the private key is neither an X25519 key nor one of ML-KEM-768 and one of X25519")


def pem_blocks(pem: bytes) -> Sequence[bytes]:
    """The PEM blocks of a text, which the loaders of ``cryptography`` would read the first of. Raises SealingError."""
    if len(pem) > MAX_PEM_BYTES:
        raise SealingError(f"a sealing key is not longer than {MAX_PEM_BYTES} bytes")
    return [match.group() + b"\n" for match in _BLOCK.finditer(pem)]


def _name(key: object) -> str:
    return type(key).__name__


def _usable(key: PublicKey) -> PublicKey:
    """X25519 refuses a key of small order only in use."""
    try:
        encrypt(b"", key, b"")
    except ValueError:
        raise SealingError("the sealing key is of small order") from None
    return key
