"""One owner of a spool at a time, across processes and within one.

A lock of its own file: the locks that SQLite takes on the database are lost when anything else in the process opens and
closes that file (POSIX, fcntl).
"""

from __future__ import annotations

import os
from pathlib import Path

from viworks.errors import SpoolFailed, SpoolInUse

LOCK_FILE = "spool.lock"


class Ownership:
    """Held from its making until ``release`` or the end of the process, whatever ends it."""

    def __init__(self, directory: Path) -> None:
        """Raises SpoolInUse, SpoolFailed."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._descriptor = os.open(directory / LOCK_FILE, flags, 0o600)
        except OSError as error:
            raise SpoolFailed(f"the spool's lock cannot be opened: {type(error).__name__}") from None
        try:
            _lock(self._descriptor)
        except OSError:
            self.release()
            raise SpoolInUse("another process, or another client of this one, has the spool open") from None

    def release(self) -> None:
        """Let another open the spool."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt  # Windows

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
