"""The key that signs checkpoints, and the public halves of all that ever did."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from nacl.signing import SigningKey

from sinks.audit.checkpoints import Checkpoint
from sinks.audit.files import append_lines
from sinks.audit.notes import sign_note
from sinks.errors import KeyFileUnusable

_KEY_BYTES = 32


class AuditKey:
    """Reads the key's file for each signature, so that a key that took its place signs from the next checkpoint on.

    Args:
        path: the private key, 32 bytes in base64.
        public_keys: the file that has the public half of every key that has signed; made where it is missing.
    """

    def __init__(self, path: Path, public_keys: Path) -> None:
        self._path = path
        self._public_keys = public_keys

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note. Raises KeyFileUnusable, OSError."""
        return self.sign_text(checkpoint.text, checkpoint.origin)

    def sign_text(self, text: str, name: str) -> str:
        """The note of a text, which begins with the line ``name``. Raises KeyFileUnusable, OSError."""
        key = SigningKey(_read_key(self._path))
        self._publish(bytes(key.verify_key))
        return sign_note(text, name, key)

    def _publish(self, public_key: bytes) -> None:
        known = read_public_keys(self._public_keys) if self._public_keys.exists() else []
        if public_key not in known:
            append_lines(self._public_keys, [base64.b64encode(public_key)])


def read_public_keys(path: Path) -> list[bytes]:
    """The keys of a file, one a line in base64; lines that begin with # are passed over. Raises KeyFileUnusable."""
    try:
        lines = path.read_text().splitlines()
        keys = [base64.b64decode(line, validate=True) for line in lines if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise KeyFileUnusable(f"{path} cannot be read: {type(error).__name__}.") from None
    if any(len(key) != _KEY_BYTES for key in keys):
        raise KeyFileUnusable(f"{path} does not hold Ed25519 public keys.")
    return keys


def _read_key(path: Path) -> bytes:
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, binascii.Error) as error:
        raise KeyFileUnusable(f"{path} cannot be read: {type(error).__name__}.") from None
    if len(key) != _KEY_BYTES:
        raise KeyFileUnusable(f"{path} does not hold an Ed25519 private key.")
    return key
