"""The ring of keys of the encrypted disks: the newest key first, which encrypts all that is written from now on.

The file has a line for each key, ``NUMBER HEX`` with 64 hex digits (AES-256); a file of one key may leave its number out,
which is then 0. Each key has a disk and a directory of its own, so that ClickHouse itself can say what still needs a former
key. Where there is more than one key, a rotation is under way: see ``sinks.rotation``.
"""

from __future__ import annotations

import os
import secrets
import string
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from sinks.errors import KeyFileUnusable

_DIGITS = 64
_MOST_KEYS = 8
_MOST_BYTES = _MOST_KEYS * 100


@dataclass(frozen=True, slots=True)
class StorageKey:
    """One key, and what is named after it."""

    number: int
    digits: str = field(repr=False)

    @property
    def disk(self) -> str:
        """The disk's name in ClickHouse. The first key's has no number."""
        return f"historical_{self.number}" if self.number else "historical"

    @property
    def directory(self) -> str:
        """Below the directory of the historical data."""
        return f"encrypted_{self.number}" if self.number else "encrypted"

    @property
    def variable(self) -> str:
        """The environment variable that shows the key to the engine while it opens."""
        return f"VIWORKS_STORAGE_KEY_HEX_{self.number}"


Ring = tuple[StorageKey, ...]


def read_ring(path: Path | None) -> Ring:
    """The keys of the encrypted disks, the newest first.

    Raises:
        KeyFileUnusable: no file is named, or it cannot be read, or holds something else.
    """
    if path is None:
        raise KeyFileUnusable("The embedded engine needs a key for its encrypted disk: set VIWORKS_STORAGE_KEY_FILE.")
    ring = tuple(_key(path, line) for line in read_key_text(path).splitlines())
    numbers = [key.number for key in ring]
    if not ring or len(ring) > _MOST_KEYS or numbers != sorted(set(numbers), reverse=True):
        raise KeyFileUnusable(f"{path} does not hold one to {_MOST_KEYS} keys, the newest first.")
    return ring


def write_ring(path: Path, ring: Ring) -> None:
    """Replace the file in one step, and return once the disk has it. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write("".join(f"{key.number} {key.digits}\n" for key in ring))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def with_new_key(ring: Ring) -> Ring:
    """The ring with a new key in front; as it is where a rotation is under way, so that it can be begun again."""
    if len(ring) > 1:
        return ring
    return (StorageKey(ring[0].number + 1, secrets.token_hex(_DIGITS // 2)), *ring)


def read_key_text(path: Path) -> str:
    """The text of a key file of a bounded size. Raises KeyFileUnusable where it cannot be read."""
    try:
        with path.open() as file:
            return file.read(_MOST_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileUnusable(f"{path} cannot be read: {type(error).__name__}.") from None


def _key(path: Path, line: str) -> StorageKey:
    number, _, digits = line.strip().rpartition(" ")
    number = number or "0"
    if len(digits) != _DIGITS or not set(digits) <= set(string.hexdigits) or not (number.isascii() and number.isdigit()):
        raise KeyFileUnusable(f"{path} does not hold {_DIGITS} hex digits.")
    return StorageKey(int(number), digits)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
