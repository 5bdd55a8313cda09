"""Ed25519 signatures over messages (DESIGN §2, RFC 8032), in both directions.

A message is signed as the exact bytes of its JSON body with the value of the one top-level ``signature`` member set to
``""``; the signature then replaces the empty string. Nothing is ever re-serialised, so any JSON writer in any language
works. ``schemas/vectors/signing.json`` holds examples for other implementations.

Verification is libsodium's (strict): it refuses non-canonical encodings and small-order keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl import _sodium, bindings

from schemas.errors import BadPublicKey, BadSignature, InvalidMessage, MalformedSignature
from schemas.json_document import top_level_members

SIGNATURE_BYTES = 64
PUBLIC_KEY_BYTES = 32
MAX_PEM_CHARS = 512

HEX_CHARS, BASE64_CHARS = 128, 86

# 64 bytes leave four bits of the last character unused; they must be zero, or one signature would have many texts.
_LAST_CHARS = (b"A", b"Q", b"g", b"w")
_PADDINGS = (b"", b"==")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def signed_bytes(body: bytes) -> tuple[bytes, str]:
    """Split a received body into the bytes that were signed and the signature's text.

    Raises:
        NotJson, DuplicateKey: see ``top_level_members``.
        InvalidMessage: there is no ``signature`` member, or it is not a plain string.
    """
    span = top_level_members(body).get("signature")
    if span is None:
        raise InvalidMessage("the member is missing", "signature")
    raw = body[span.start : span.end]
    if raw[:1] != b'"':
        raise InvalidMessage("expected a string", "signature")
    text = msgspec.json.decode(raw, type=str)
    return body[: span.start] + b'""' + body[span.end :], text


def sign_body(unsigned: bytes, secret_key: bytes) -> tuple[bytes, str]:
    """Sign a JSON body whose ``signature`` is ``""``; return the body to send and the signature's text.

    Args:
        unsigned: the body, UTF-8 JSON.
        secret_key: the 32-byte Ed25519 seed.

    Raises:
        NotJson, DuplicateKey, InvalidMessage: the body cannot be signed; an unsigned body holds ``"signature":""``.
    """
    span = top_level_members(unsigned).get("signature")
    if span is None or unsigned[span.start : span.end] != b'""':
        raise InvalidMessage('an unsigned body holds "signature": ""', "signature")
    text = encode_signature(sign(unsigned, secret_key))
    return unsigned[: span.start] + b'"' + text.encode() + b'"' + unsigned[span.end :], text


def get_request_bytes(target: str, client_id: str, timestamp: str | None) -> bytes:
    """The bytes that a GET signs: method, path with query, client id and, where sent, ``X-Timestamp``, one a line."""
    lines = ["GET", target, client_id]
    return "\n".join(lines if timestamp is None else [*lines, timestamp]).encode()


def rotation_proof_bytes(client_id: str, old_key_id: str, new_public_key: bytes, timestamp_ms: int) -> bytes:
    """What the new key of a rotation signs: possession, bound to the client, the key it replaces and the moment."""
    lines = ["viworks/key-rotation/v1", client_id, old_key_id, new_public_key.hex(), str(timestamp_ms)]
    return "\n".join(lines).encode()


def sign(message: bytes, secret_key: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of the message under a 32-byte seed."""
    _, expanded = bindings.crypto_sign_seed_keypair(secret_key)
    return bindings.crypto_sign(message, expanded)[:SIGNATURE_BYTES]


def public_key_of(secret_key: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte seed."""
    return bindings.crypto_sign_seed_keypair(secret_key)[0]


def verify(message: bytes, signature: bytes, public_key: bytes) -> None:
    """Raise BadSignature unless the signature (64 bytes) is the key's (32 bytes) over the message."""
    if len(signature) != SIGNATURE_BYTES:  # libsodium takes both in one: what is too much here would count as message
        raise BadSignature("a signature has 64 bytes")
    if len(public_key) != PUBLIC_KEY_BYTES:  # libsodium reads 32 bytes whatever there is
        raise BadSignature("a public key has 32 bytes")
    signed = signature + message
    # The function behind bindings.crypto_sign_open, without the copy of the message that nobody reads (1 to 3 µs).
    if _sodium.lib.crypto_sign_open(_sodium.ffi.NULL, _sodium.ffi.NULL, signed, len(signed), public_key) != 0:
        raise BadSignature("the signature does not verify under the client's key")


def encode_signature(signature: bytes) -> str:
    """The text form that this project sends: base64url without padding, 86 characters."""
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def decode_signature(text: str) -> bytes:
    """Read a signature: hexadecimal in either case (ed25519-dalek 1), base64 or base64url, padded or not.

    Raises:
        MalformedSignature: anything else, or not 64 bytes, or base64 whose unused bits are not zero.
    """
    try:
        raw = text.encode("ascii")
        if len(raw) == HEX_CHARS:
            return binascii.unhexlify(raw)
        if raw[BASE64_CHARS - 1 : BASE64_CHARS] in _LAST_CHARS and raw[BASE64_CHARS:] in _PADDINGS:
            # bytes.translate: str's is eight times slower.
            return binascii.a2b_base64(raw[:BASE64_CHARS].translate(_TO_STANDARD) + b"==", strict_mode=True)
    except ValueError:
        pass
    raise MalformedSignature("the signature is neither hexadecimal nor base64 of 64 bytes")


def public_key_from_pem(pem: str) -> bytes:
    """Read an Ed25519 SubjectPublicKeyInfo PEM (RFC 8410) into its 32 bytes.

    Raises:
        BadPublicKey: not PEM, another algorithm, or a key that ``check_public_key`` refuses.
    """
    if len(pem) > MAX_PEM_CHARS:
        raise BadPublicKey(f"the public key is longer than {MAX_PEM_CHARS} characters")
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadPublicKey("the public key is not a PEM SubjectPublicKeyInfo") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadPublicKey("the public key is not an Ed25519 key")
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    check_public_key(raw)
    return raw


def public_key_to_pem(public_key: bytes) -> str:
    """Write a 32-byte Ed25519 key as SubjectPublicKeyInfo PEM."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def check_public_key(public_key: bytes) -> None:
    """Raise BadPublicKey for a point that is not canonical, not on the curve or of small order."""
    if len(public_key) != PUBLIC_KEY_BYTES or not bindings.crypto_core_ed25519_is_valid_point(public_key):
        raise BadPublicKey("the public key is not a point of the main subgroup")


def key_id(public_key: bytes) -> str:
    """The name of a key in rows and logs: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]
