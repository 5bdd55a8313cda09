"""The key file: credentials under AES-256-GCM, with a header that says how to open them.

The header, the file's name and its place in the row of versions (``generation``) are associated data: whatever is changed,
renamed or mixed with an older file does not open. ``check`` tells a wrong passphrase from a changed file.
"""

from __future__ import annotations

import hmac
import os
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from msgspec import Struct

from viworks.errors import KeysLocked, KeysTampered
from viworks.keys import credentials
from viworks.keys.credentials import Credentials
from viworks.keys.protectors import KEY_BYTES, KeyProtector, Parameters

FORMAT: Literal["viworks-keys/1"] = "viworks-keys/1"
_NONCE_BYTES = 12
_DOMAIN = b"viworks/keys/file/v1\n"


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In the clear, and authentic once the file has opened."""

    format: Literal["viworks-keys/1"]
    client_id: str
    generation: int
    protector: str
    parameters: dict[str, str | int]
    check: bytes
    nonce: bytes


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    header: Header
    ciphertext: bytes


class Lock:
    """An opened protector: writes files without asking for the passphrase again."""

    def __init__(self, protector: str, parameters: Parameters, key: bytes) -> None:
        self._protector, self._parameters, self._key = protector, parameters, key
        self.check = _derived(key, b"check")[:16]

    @classmethod
    def made(cls, protector: KeyProtector) -> Lock:
        """A new one, with new parameters. Raises KeysLocked."""
        parameters = protector.make()
        return cls(protector.kind, parameters, protector.key(parameters))

    @classmethod
    def of(cls, header: Header, protector: KeyProtector) -> Lock:
        """The one that a file was written with. Raises KeysLocked, KeysTampered."""
        if header.protector != protector.kind:
            raise KeysLocked(f"the key file is protected by {header.protector[:32]!r}, not by {protector.kind!r}")
        lock = cls(protector.kind, header.parameters, protector.key(header.parameters))
        if not hmac.compare_digest(lock.check, header.check):
            raise KeysLocked(f"the {protector.kind} is not the one of this key file, or the file's header was changed")
        return lock

    def seal(self, state: Credentials, name: str, generation: int) -> bytes:
        """The content of the file ``name``."""
        header = Header(
            format=FORMAT,
            client_id=state.client_id,
            generation=generation,
            protector=self._protector,
            parameters=dict(self._parameters),
            check=self.check,
            nonce=os.urandom(_NONCE_BYTES),
        )
        plaintext = credentials.encode(state)
        ciphertext = self._cipher().encrypt(header.nonce, plaintext, _associated(name, header))
        return msgspec.json.encode(_File(header=header, ciphertext=ciphertext))

    def open(self, content: bytes, name: str) -> Credentials:
        """What ``seal`` was given. Raises KeysTampered."""
        file = _parsed(content)
        try:
            plaintext = self._cipher().decrypt(file.header.nonce, file.ciphertext, _associated(name, file.header))
            state = credentials.decode(plaintext)
        except (InvalidTag, ValueError):
            raise KeysTampered("the key file was changed, or is a copy of another file") from None
        if state.client_id != file.header.client_id:
            raise KeysTampered("the key file names two clients")
        return state

    def _cipher(self) -> AESGCM:
        return AESGCM(_derived(self._key, b"encryption"))


def read_header(content: bytes) -> Header:
    """The header as it stands, not yet known to be authentic. Raises KeysTampered."""
    return _parsed(content).header


def _parsed(content: bytes) -> _File:
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise KeysTampered("the key file is not of this format") from None
    if msgspec.json.encode(file) != content:  # base64 and JSON have several texts for one value
        raise KeysTampered("the key file is not as it was written")
    if len(file.header.nonce) != _NONCE_BYTES or file.header.generation < 0:
        raise KeysTampered("the key file's header is not of this format")
    return file


def _associated(name: str, header: Header) -> bytes:
    return _DOMAIN + name.encode() + b"\n" + msgspec.json.encode(header)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), KEY_BYTES, _DOMAIN + purpose).derive(key)
