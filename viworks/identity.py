"""Who a client is: its id and its Ed25519 key."""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import signing
from viworks.errors import KeyFileError


@dataclass(frozen=True, slots=True)
class Identity:
    """A client id and its 32-byte Ed25519 seed."""

    client_id: str
    secret_key: bytes = field(repr=False)

    @classmethod
    def create(cls, client_id: str) -> Identity:
        """Make a new key."""
        return cls(client_id, secrets.token_bytes(32))

    @classmethod
    def load_or_create(cls, path: str | Path, client_id: str) -> Identity:
        """Read the key of a file (PKCS #8 PEM), or make one and write it there with mode 0600, not encrypted.

        ``KeyStore.open`` encrypts, and takes such a file over.

        Raises:
            KeyFileError: the file is there but cannot be read or is not such a key.
        """
        path = Path(path)
        if path.exists():
            return cls(client_id, read_plain_key(path))
        identity = cls.create(client_id)
        _write(path, identity.secret_key)
        return identity

    @property
    def public_key_pem(self) -> str:
        """SubjectPublicKeyInfo PEM, as the registration carries it."""
        return signing.public_key_to_pem(signing.public_key_of(self.secret_key))


def read_plain_key(path: Path) -> bytes:
    """The seed of an unencrypted Ed25519 key file (PKCS #8 PEM). Raises KeyFileError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyFileError(f"{path} is not a readable key file: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} does not hold an Ed25519 key")
    return key.private_bytes_raw()


def _write(path: Path, secret_key: bytes) -> None:
    pem = Ed25519PrivateKey.from_private_bytes(secret_key).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
