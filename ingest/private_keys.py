"""The server refuses to start where it finds the SOC's private key: whoever takes the server would read everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ingest.errors import PrivateKeyFound
from schemas.sealing import SealingKey

_MAX_BYTES = 64 * 1024
_MARK = b"PRIVATE KEY-----"


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
    if _MARK not in content:
        return False
    try:
        key = load_pem_private_key(content, None)
    except TypeError:
        return b"ENCRYPTED" in content
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, X25519PrivateKey) and SealingKey(key.public_key()).key_id == sealing_key.key_id
