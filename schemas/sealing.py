"""Sealing for the SOC: HPKE (RFC 9180), base mode, by one of the suites of ``sealing_suites``, padded.

An envelope is the text ``vws1:`` and the base64url of ``suite (1 byte) | key id (8 bytes) | enc | ciphertext``.
The plaintext is framed by its length (4 bytes, big endian) and zero-padded to a Padmé length (Nikitin et al., PETS 2019)
of at least 256 bytes, so that an envelope's length says little about what is inside. HPKE's ``info`` binds the envelope
to its place: domain, client, type, message id and key id, each with its length in front; HPKE itself binds the suite.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from schemas import sealing_suites
from schemas.errors import SealingError
from schemas.sealing_suites import SUITES, PrivateKey, PublicKey, SealingSuite, suite_of

PREFIX = "vws1:"
KEY_ID_BYTES = 8
MIN_PADDED_BYTES = 256
_TAG_BYTES = 16
_DOMAIN = b"viworks/seal/v1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an envelope belongs: opening it for any other place fails."""

    client_id: str
    type: str
    message_id: str


class SealingKey:
    """The SOC's public key. The private key never comes near a server."""

    def __init__(self, public_key: PublicKey) -> None:
        self.public_key = public_key
        self.suite = suite_of(public_key)
        self._digest = hashlib.sha256(sealing_suites.raw_public_key(public_key)).digest()
        self._id = self._digest[:KEY_ID_BYTES]

    @classmethod
    def from_pem(cls, pem: bytes) -> SealingKey:
        """Read a key of either suite. Raises SealingError for anything else, a private key above all."""
        return cls(sealing_suites.load_public(pem))

    @property
    def key_id(self) -> str:
        """16 hex digits: the start of the raw key's SHA-256."""
        return self._id.hex()

    @property
    def fingerprint(self) -> str:
        """The raw key's whole SHA-256, 64 hex digits, for people to compare; it begins with ``key_id``."""
        return self._digest.hex()

    def pem(self) -> str:
        return sealing_suites.public_pem(self.public_key).decode()

    def seal(self, plaintext: bytes, place: Place) -> str:
        """Return the envelope's text."""
        sealed = sealing_suites.encrypt(_pad(plaintext), self.public_key, _info(place, self._id))
        return PREFIX + _encode(bytes([self.suite.id]) + self._id + sealed)


def is_envelope(text: str, key: SealingKey) -> bool:
    """Whether the text has the form of an envelope for this key; who made it is not known."""
    envelope = _read(text)
    return envelope is not None and (envelope.key_id.hex(), envelope.suite) == (key.key_id, key.suite)


def key_id_of(text: str) -> str | None:
    """The ``SealingKey.key_id`` of the key that an envelope is for; None where the text is no envelope."""
    envelope = _read(text)
    return None if envelope is None else envelope.key_id.hex()


def open_envelope(text: str, place: Place, private_key: PrivateKey) -> bytes:
    """Open an envelope on the SOC's machine.

    Raises:
        SealingError: not an envelope, another key's, another place's, or changed on the way.
    """
    envelope = _read(text)
    if envelope is None:
        raise SealingError("not an envelope")
    try:
        if envelope.suite is not suite_of(private_key):
            raise ValueError("suite")
        return _unpad(sealing_suites.decrypt(envelope.sealed, private_key, _info(place, envelope.key_id)))
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


@dataclass(frozen=True, slots=True)
class _Envelope:
    suite: SealingSuite
    key_id: bytes
    sealed: bytes


def _read(text: str) -> _Envelope | None:
    """None where the text has not the form of an envelope: also where its length is none that padding gives."""
    if not text.startswith(PREFIX):
        return None
    try:
        raw = _decode(text[len(PREFIX) :])
    except ValueError:
        return None
    suite = SUITES.get(raw[0]) if raw else None
    if suite is None:
        return None
    padded = len(raw) - 1 - KEY_ID_BYTES - suite.enc_bytes - _TAG_BYTES
    if padded < MIN_PADDED_BYTES or padded != padded_length(padded):
        return None
    return _Envelope(suite, raw[1 : 1 + KEY_ID_BYTES], raw[1 + KEY_ID_BYTES :])


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Raises ValueError also for a second text of the same bytes: what was changed in passing is no envelope."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(raw) != text:
        raise ValueError("not the one text of these bytes")
    return raw
