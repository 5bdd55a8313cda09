"""One supervisor a data directory: an advisory lock that the kernel frees however its holder ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from infra.errors import DataDirectoryInUse


class DataLock:
    """Holds ``<data>/lock`` while entered. The file names the holder's process id."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def __enter__(self) -> DataLock:
        """Take the lock.

        Raises:
            DataDirectoryInUse: another process holds it.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_path(self._data_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataDirectoryInUse(self._data_dir, _pid_in(lock_path(self._data_dir))) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_path(data_dir: Path) -> Path:
    """Where the lock of a data directory is."""
    return data_dir / "lock"


def holder(data_dir: Path) -> int | None:
    """The process id of the running supervisor of ``data_dir``; None where none runs."""
    if not lock_path(data_dir).exists():
        return None
    with lock_path(data_dir).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid_in(lock_path(data_dir))
    return None


def _pid_in(path: Path) -> int | None:
    text = path.read_text().strip()
    return int(text) if text.isdecimal() else None
