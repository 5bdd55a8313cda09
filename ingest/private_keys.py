"""The server refuses to start where it finds the SOC's private key: whoever takes the server would read everything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ingest.errors import PrivateKeyFound
from schemas.sealing import SealingKey
from schemas.sealing_suites import halves_of

_MAX_BYTES = 64 * 1024
_MARK = b"PRIVATE KEY-----"
_BLOCK = re.compile(rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.+?-----END [A-Z ]{0,40}PRIVATE KEY-----", re.DOTALL)


def refuse_private_key(sealing_key: SealingKey, directories: Iterable[Path]) -> None:
    """Look at the small files in these directories (not below them).

    Raises:
        PrivateKeyFound: one holds the private half of the sealing key, or an encrypted key that may be it.
    """
    for path in _files(directories):
        if _holds(path, sealing_key):
            raise PrivateKeyFound(f"{path} holds the SOC's private key: move it to the analyst's machine, then start again")


def _files(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in {each.resolve() for each in directories}:
        if directory.is_dir():
            yield from (path for path in directory.iterdir() if path.is_file())


def _holds(path: Path, sealing_key: SealingKey) -> bool:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return False
        content = path.read_bytes()
    except OSError:
        return False
    return _MARK in content and any(_is_half(block, sealing_key) for block in _BLOCK.findall(content))


def _is_half(pem: bytes, sealing_key: SealingKey) -> bool:
    """Whether it is the private key, or one of the two of a hybrid: either is one too many on a server."""
    try:
        key = load_pem_private_key(pem + b"\n", None)
    except TypeError:
        return b"ENCRYPTED" in pem
    except (ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, X25519PrivateKey | MLKEM768PrivateKey):
        return False
    own = key.public_key().public_bytes_raw()
    return any(own == half.public_bytes_raw() for half in halves_of(sealing_key.public_key))
