"""The SOC's key files: the private key under a passphrase, the public key for the servers.

The private key is encrypted PKCS #8. Its own derivation (PBKDF2) is too cheap for a passphrase, so what encrypts it is the
passphrase's Argon2id key (RFC 9106), whose salt and costs stand in a line above the PEM blocks, where RFC 7468 allows text.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from nacl.pwhash import argon2id

from schemas.errors import SealingError
from schemas.sealing import SealingKey
from schemas.sealing_suites import MAX_PEM_BYTES, HybridPrivateKey, PrivateKey, load_private, private_pem
from viworks.errors import KeyFileError
from viworks.keys.private_file import PrivateFile
from viworks.soc.errors import KeyUnusable

PRIVATE_NAME, PUBLIC_NAME = "soc-private.pem", "soc-public.pem"
OPS, MEMORY_BYTES = argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE
MIN_PASSPHRASE_CHARS = 12
_MOST_OPS, _MOST_MEMORY = 20, 2 << 30
_KDF = re.compile(rb"^viworks-soc-key: argon2id salt=([0-9a-f]{32}) ops=([0-9]{1,3}) memory=([0-9]{1,11})\r?$", re.MULTILINE)

Ask = Callable[[], str]
"""Asks for the passphrase; called only where one is needed."""


def made(hybrid: bool) -> PrivateKey:
    """A new private key: of the suite MLKEM768-X25519, or of X25519 alone."""
    x25519 = X25519PrivateKey.generate()
    return HybridPrivateKey(MLKEM768PrivateKey.generate(), x25519) if hybrid else x25519


def locked(key: PrivateKey, passphrase: str, *, ops: int = OPS, memory_bytes: int = MEMORY_BYTES) -> bytes:
    """The content of a private key file. Raises KeyUnusable for a passphrase that is too short."""
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise KeyUnusable(f"the passphrase has less than {MIN_PASSPHRASE_CHARS} characters")
    salt = secrets.token_bytes(argon2id.SALTBYTES)
    line = f"viworks-soc-key: argon2id salt={salt.hex()} ops={ops} memory={memory_bytes}\n".encode()
    return line + private_pem(key, BestAvailableEncryption(_derived(passphrase, salt, ops, memory_bytes)))


def unlocked(content: bytes, ask: Ask) -> PrivateKey:
    """Read a private key file, encrypted or not. Raises KeyUnusable."""
    found = _KDF.search(content)
    try:
        if found is not None:
            salt, ops, memory_bytes = bytes.fromhex(found[1].decode()), int(found[2]), int(found[3])
            return load_private(content, _derived(ask(), salt, ops, memory_bytes))
        return load_private(content, ask().encode() if b"ENCRYPTED PRIVATE KEY" in content else None)
    except SealingError as error:
        raise KeyUnusable(f"{error}") from None


def read(path: Path, ask: Ask) -> PrivateKey:
    """Read a private key file. Raises KeyUnusable, which names the file."""
    try:
        with path.open("rb") as file:
            return unlocked(file.read(MAX_PEM_BYTES), ask)
    except OSError as error:
        raise KeyUnusable(f"{path.name} cannot be read: {type(error).__name__}") from None
    except KeyUnusable as error:
        raise KeyUnusable(f"{path.name}: {error}") from None


def write_pair(directory: Path, key: PrivateKey, passphrase: str) -> None:
    """Write both files where neither is there yet. The private one is read back before the public one is written.

    Raises:
        KeyUnusable: one is there already, or cannot be written.
    """
    private, public = directory / PRIVATE_NAME, directory / PUBLIC_NAME
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise KeyUnusable(f"{path.name} is there already: no key is ever overwritten")
    try:
        PrivateFile(private).write(locked(key, passphrase))
        sealing_key = SealingKey(key.public_key())
        if SealingKey(read(private, lambda: passphrase).public_key()).fingerprint != sealing_key.fingerprint:
            raise KeyUnusable(f"{private.name} does not read back")
        PrivateFile(public).write(sealing_key.pem().encode())
    except KeyFileError as error:
        raise KeyUnusable(str(error)) from None


def spoken(sealing_key: SealingKey) -> str:
    """The fingerprint in groups, to be read out: 40 hex digits, as many as nobody can forge (160 bits)."""
    digits = sealing_key.fingerprint[:40].upper()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _derived(passphrase: str, salt: bytes, ops: int, memory_bytes: int) -> bytes:
    if not 1 <= ops <= _MOST_OPS or not argon2id.MEMLIMIT_MIN <= memory_bytes <= _MOST_MEMORY:
        raise KeyUnusable("the file asks for a key derivation out of bounds")
    return bytes(argon2id.kdf(32, passphrase.encode(), salt, opslimit=ops, memlimit=memory_bytes)).hex().encode()
