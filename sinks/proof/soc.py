"""The SOC's private key, on the machine of an analyst who may see everything. No server has it."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas.sealing import SealingKey
from sinks.errors import KeyFileUnusable


class SocKey:
    """Opens envelopes. ``key_id`` is the name by which envelopes name it."""

    def __init__(self, private_key: X25519PrivateKey) -> None:
        self.private_key = private_key
        self.key_id = SealingKey(private_key.public_key()).key_id

    @classmethod
    def from_file(cls, path: Path) -> SocKey:
        """Read a PEM without a password. Raises KeyFileUnusable."""
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileUnusable(f"the SOC's key in {path} cannot be read: {type(error).__name__}") from None
        if not isinstance(key, X25519PrivateKey):
            raise KeyFileUnusable(f"the SOC's key in {path} is not an X25519 key")
        return cls(key)
