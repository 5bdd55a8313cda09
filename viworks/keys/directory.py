"""The files of a key store, and the one process that has them open.

``client.keys`` is the key file, ``client.generation`` the number of its newest version, ``client.lock`` the lock.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Protocol

from viworks.errors import KeysInUse, KeysTampered
from viworks.keys.private_file import PrivateFile, StoredBytes, private_directory

KEY_FILE, GENERATION_FILE, LOCK_FILE, REFUSED_FILE = "client.keys", "client.generation", "client.lock", "client.keys.refused"
_MAX_GENERATION_DIGITS = 18


class KeyFiles(NamedTuple):
    """Where a store keeps its bytes. The witness should be harder to set back than the keys, such as on another volume."""

    keys: StoredBytes
    witness: StoredBytes


class KeyPlace(Protocol):
    """Where a store lives, for one process at a time."""

    @property
    def files(self) -> KeyFiles: ...

    @property
    def mended(self) -> tuple[str, ...]:
        """Names of what others could read until now."""
        ...

    def close(self) -> None: ...


class KeyDirectory:
    """The files in one directory, locked until ``close``. Raises KeysInUse, KeysUnsafe, KeyFileError."""

    def __init__(self, path: Path, witness: StoredBytes | None = None) -> None:
        self._path = path
        self._keys = PrivateFile(path / KEY_FILE)
        self._own_witness = PrivateFile(path / GENERATION_FILE)
        private_directory(path, self._keys.mended)
        self._lock = _locked(path / LOCK_FILE)
        self.files = KeyFiles(self._keys, witness or self._own_witness)
        self._keys.sweep()
        self._own_witness.sweep()

    @property
    def mended(self) -> tuple[str, ...]:
        """Names of files and directories that others could read."""
        return (*self._keys.mended, *self._own_witness.mended)

    def set_aside(self) -> None:
        """Keep a key file that was refused under another name, as evidence."""
        refused = self._path / KEY_FILE
        if refused.exists() or refused.is_symlink():
            refused.replace(self._path / REFUSED_FILE)

    def close(self) -> None:
        """Let another process open the store."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def newest_generation(witness: StoredBytes) -> int | None:
    """The number that the witness holds; None where it holds nothing. Raises KeysTampered where it holds something else."""
    content = witness.read()
    if content is None:
        return None
    if not content.isdigit() or len(content) > _MAX_GENERATION_DIGITS:
        raise KeysTampered("the record of the newest key file is no number")
    return int(content)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise KeysInUse("another process has these keys open") from None
    return descriptor


def _lock(descriptor: int) -> None:
    """An exclusive lock that ends with the process, whatever ends it."""
    try:
        import fcntl
    except ImportError:
        import msvcrt  # Windows

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
