"""The SOC's private key, on the machine of an analyst who may see everything. No server has it."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import SealingError
from schemas.sealing import SealingKey
from schemas.sealing_suites import PrivateKey, load_private
from sinks.errors import KeyFileUnusable


class SocKey:
    """Opens envelopes. ``key_id`` is the name by which envelopes name it."""

    def __init__(self, private_key: PrivateKey) -> None:
        self.private_key = private_key
        self.key_id = SealingKey(private_key.public_key()).key_id

    @classmethod
    def from_file(cls, path: Path, passphrase: bytes | None = None) -> SocKey:
        """Read a PEM of either suite. Raises KeyFileUnusable."""
        try:
            return cls(load_private(path.read_bytes(), passphrase))
        except OSError as error:
            raise KeyFileUnusable(f"the SOC's key in {path} cannot be read: {type(error).__name__}") from None
        except SealingError as error:
            raise KeyFileUnusable(f"the SOC's key in {path} cannot be used: {error}") from None
