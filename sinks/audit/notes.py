"""Signed notes, the form of checkpoints: a text, an empty line, signatures (c2sp.org/signed-note, Ed25519)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from hashlib import sha256

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from sinks.errors import CheckpointInvalid

_ED25519 = b"\x01"
_SIGNATURE = "\u2014 "
_MAX_CHARACTERS = 16_384
_MAX_SIGNATURES = 16


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """The note of ``text``, which ends with a line end, under the key ``name``, which has no space and no plus."""
    signature = key_id(name, bytes(key.verify_key)) + key.sign(text.encode()).signature
    return f"{text}\n{_SIGNATURE}{name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, name: str, public_keys: Iterable[bytes]) -> str:
    """The text of a note that one of the keys has signed under ``name``.

    Raises:
        CheckpointInvalid: malformed, signed by none of the keys, or wrongly by one of them.
    """
    text, lines = _split(note)
    known = {key_id(name, key): key for key in public_keys}
    signed = False
    for line in lines:
        signer, signature = _parsed(line)
        if signer == name and signature[:4] in known:
            _verify(known[signature[:4]], text, signature[4:])
            signed = True
    if not signed:
        raise CheckpointInvalid("it is signed by none of the known keys")
    return text


def key_id(name: str, public_key: bytes) -> bytes:
    """The first four bytes of a signature, which tell the keys of one name apart."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def _split(note: str) -> tuple[str, list[str]]:
    text, gap, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or len(note) > _MAX_CHARACTERS or lines.pop() or not 1 <= len(lines) <= _MAX_SIGNATURES:
        raise CheckpointInvalid("it is no signed note")
    return text + "\n", lines


def _parsed(line: str) -> tuple[str, bytes]:
    signer, _, encoded = line.removeprefix(_SIGNATURE).partition(" ")
    try:
        signature = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    if not line.startswith(_SIGNATURE) or len(signature) < len(_ED25519) + 4:
        raise CheckpointInvalid("one of its signatures is malformed")
    return signer, signature


def _verify(public_key: bytes, text: str, signature: bytes) -> None:
    try:
        VerifyKey(public_key).verify(text.encode(), signature)
    except (BadSignatureError, ValueError):
        raise CheckpointInvalid("its signature is wrong") from None
