"""Files that only their owner may read, that are whole or absent whatever moment the machine stops at."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Protocol

from viworks.errors import KeyFileError, KeysUnsafe

MAX_BYTES = 1 << 20
_POSIX = os.name == "posix"


class StoredBytes(Protocol):
    """A place that holds some bytes or none."""

    def read(self) -> bytes | None: ...

    def write(self, content: bytes) -> None:
        """Replace what is there: after a crash it is the old or the new, and the new once this has returned."""
        ...


class PrivateFile:
    """A file with mode 0600; a directory that is missing is made with 0700. On Windows: as the access lists say.

    ``mended`` says what was found open to others and closed: whoever could read it may have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mended: list[str] = []

    def read(self) -> bytes | None:
        """The content; None where there is no file.

        Raises:
            KeysUnsafe: a link, no regular file, too large, or another user's.
            KeyFileError: the system does not let it be read.
        """
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = KeysUnsafe if self.path.is_symlink() else KeyFileError
            raise problem(f"{self.path.name} cannot be opened: {type(error).__name__}") from None
        try:
            self._check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise KeysUnsafe(f"{self.path.name} is larger than {MAX_BYTES} bytes")
        return content

    def write(self, content: bytes) -> None:
        """Replace the file in one step, on the disk before this returns. Raises KeyFileError."""
        temporary = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=self._prefix)  # with mode 0600
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
            temporary = None
            sync_directory(self.path.parent)
        except OSError as error:
            raise KeyFileError(f"{self.path.name} cannot be written: {type(error).__name__}") from None
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a writer that was killed left behind. Only for the one process that may write."""
        for leftover in self.path.parent.glob(f"{self._prefix}*"):
            leftover.unlink(missing_ok=True)

    @property
    def _prefix(self) -> str:
        return f".{self.path.name}.new-"

    def _check(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeysUnsafe(f"{self.path.name} is not a regular file")
        if not _POSIX:
            return
        if status.st_uid != os.geteuid():
            raise KeysUnsafe(f"{self.path.name} belongs to another user")
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
            self.mended.append(self.path.name)


def private_directory(path: Path, mended: list[str]) -> None:
    """Make the directory, or close one that others may enter; its name is then added to ``mended``.

    Raises:
        KeysUnsafe: it belongs to another user.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _POSIX:
        return
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise KeysUnsafe(f"{path.name} belongs to another user")
    if status.st_mode & 0o077:
        path.chmod(0o700)
        mended.append(path.name)


def sync_directory(path: Path) -> None:
    """Make a rename last. Windows has no such call for directories, and needs none."""
    if not _POSIX:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def erase(path: Path) -> None:
    """Overwrite a small file and remove it. Copies that the disk or the file system keeps are out of reach."""
    with contextlib.suppress(OSError), path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
