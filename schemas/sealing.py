"""Sealing for the SOC: HPKE (RFC 9180), base mode, X25519 / HKDF-SHA256 / AES-256-GCM, padded.

An envelope is the text ``vws1:`` and the base64url of ``suite (1 byte) | key id (8 bytes) | enc (32 bytes) | ciphertext``.
The plaintext is framed by its length (4 bytes, big endian) and zero-padded to a Padmé length (Nikitin et al., PETS 2019)
of at least 256 bytes, so that an envelope's length says little about what is inside. HPKE's ``info`` binds the envelope
to its place: domain, client, type, message id and key id, each with its length in front.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from schemas.errors import SealingError

PREFIX = "vws1:"
SUITE_X25519 = 1
KEY_ID_BYTES = 8
MIN_PADDED_BYTES = 256
_MIN_ENVELOPE_BYTES = 1 + KEY_ID_BYTES + 32 + MIN_PADDED_BYTES + 16
_DOMAIN = b"viworks/seal/v1"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an envelope belongs: opening it for any other place fails."""

    client_id: str
    type: str
    message_id: str


class SealingKey:
    """The SOC's public key. The private key never comes near a server."""

    def __init__(self, public_key: X25519PublicKey) -> None:
        self.public_key = public_key
        raw = public_key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._id = hashlib.sha256(raw).digest()[:KEY_ID_BYTES]

    @classmethod
    def from_pem(cls, pem: bytes) -> SealingKey:
        """Read a SubjectPublicKeyInfo PEM. Raises SealingError for anything else, a private key above all."""
        if b"PRIVATE KEY" in pem:
            raise SealingError("this is a private key; only the SOC's public key belongs here")
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError:
            raise SealingError("the sealing key is not a PEM SubjectPublicKeyInfo") from None
        if not isinstance(key, X25519PublicKey):
            raise SealingError("the sealing key is not an X25519 key")
        return cls(key)

    @property
    def key_id(self) -> str:
        """16 hex digits: the start of the raw key's SHA-256."""
        return self._id.hex()

    def pem(self) -> str:
        return self.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def seal(self, plaintext: bytes, place: Place) -> str:
        """Return the envelope's text."""
        sealed = _SUITE.encrypt(_pad(plaintext), self.public_key, _info(place, self._id))
        return PREFIX + _encode(bytes([SUITE_X25519]) + self._id + sealed)


def is_envelope(text: str, key_id: str) -> bool:
    """Whether the text has the form of an envelope for the key of this ``SealingKey.key_id``; who made it is not known."""
    raw = _read(text)
    return raw is not None and raw[1 : 1 + KEY_ID_BYTES].hex() == key_id


def key_id_of(text: str) -> str | None:
    """The ``SealingKey.key_id`` of the key that an envelope is for; None where the text is no envelope."""
    raw = _read(text)
    return None if raw is None else raw[1 : 1 + KEY_ID_BYTES].hex()


def open_envelope(text: str, place: Place, private_key: X25519PrivateKey) -> bytes:
    """Open an envelope on the SOC's machine.

    Raises:
        SealingError: not an envelope, another key's, another place's, or changed on the way.
    """
    raw = _read(text)
    if raw is None:
        raise SealingError("not an envelope")
    key_id, sealed = raw[1 : 1 + KEY_ID_BYTES], raw[1 + KEY_ID_BYTES :]
    try:
        return _unpad(_SUITE.decrypt(sealed, private_key, _info(place, key_id)))
    except (InvalidTag, ValueError, TypeError):
        raise SealingError("the envelope does not open with this key at this place") from None


def padded_length(length: int) -> int:
    """The Padmé length for a framed plaintext of so many bytes, never under ``MIN_PADDED_BYTES``."""
    length = max(length, MIN_PADDED_BYTES)
    exponent = length.bit_length() - 1
    mantissa_bits = exponent.bit_length()
    mask = (1 << (exponent - mantissa_bits)) - 1
    return (length + mask) & ~mask


def _pad(plaintext: bytes) -> bytes:
    framed = struct.pack(">I", len(plaintext)) + plaintext
    return framed.ljust(padded_length(len(framed)), b"\0")


def _unpad(framed: bytes) -> bytes:
    (length,) = struct.unpack_from(">I", framed)
    if length > len(framed) - 4 or any(framed[4 + length :]):
        raise ValueError("padding")
    return framed[4 : 4 + length]


def _info(place: Place, key_id: bytes) -> bytes:
    parts = (place.client_id.encode(), place.type.encode(), place.message_id.encode(), key_id)
    return _DOMAIN + b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _read(text: str) -> bytes | None:
    """The bytes of an envelope; None where the text has not the form of one."""
    if not text.startswith(PREFIX):
        return None
    try:
        raw = _decode(text[len(PREFIX) :])
    except ValueError:
        return None
    return raw if raw[:1] == bytes([SUITE_X25519]) and len(raw) >= _MIN_ENVELOPE_BYTES else None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
