"""Encryption of a client's other files, such as the spool, under keys that come from the key store."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from viworks.errors import DataTampered

NONCE_BYTES = 12
OVERHEAD_BYTES = NONCE_BYTES + 16
_KEY_BYTES = 32


class DataBox:
    """AES-256-GCM with random nonces: good for 2^32 records under one label (NIST SP 800-38D)."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, plaintext: bytes, associated: bytes = b"") -> bytes:
        """Nonce, ciphertext and tag: ``OVERHEAD_BYTES`` longer than the plaintext.

        Args:
            associated: what the record is bound to, such as its position; needed again to decrypt.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, associated)

    def decrypt(self, record: bytes, associated: bytes = b"") -> bytes:
        """What ``encrypt`` was given. Raises DataTampered."""
        if len(record) < OVERHEAD_BYTES:
            raise DataTampered("a record is shorter than any that was written")
        try:
            return self._cipher.decrypt(record[:NONCE_BYTES], record[NONCE_BYTES:], associated)
        except InvalidTag:
            raise DataTampered("a record was changed, or moved from another place") from None


def derived_key(master_key: bytes, label: str) -> bytes:
    """32 bytes for one purpose (HKDF-Expand, RFC 5869); other labels give unrelated keys."""
    return HKDFExpand(SHA256(), _KEY_BYTES, b"viworks/keys/data/v1\n" + label.encode()).derive(master_key)
