"""Memory in place of files, and a moment at which the process ends: before or after the n-th thing that it does outside."""

from __future__ import annotations

from tests.keys.registry import Killed
from viworks.keys.directory import KeyFiles


class Cell:
    """Bytes that outlive the process."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content

    def read(self) -> bytes | None:
        return self.content


class Fuse:
    """Counts steps; burns at the one that it was made for."""

    def __init__(self, at: int) -> None:
        self._left = at

    @property
    def burnt(self) -> bool:
        return self._left <= 0

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Killed


class FusedCell:
    """A cell with a step before and after each write."""

    def __init__(self, cell: Cell, fuse: Fuse) -> None:
        self._cell, self._fuse = cell, fuse

    def read(self) -> bytes | None:
        return self._cell.read()

    def write(self, content: bytes) -> None:
        self._fuse.step()
        self._cell.content = content
        self._fuse.step()


class Place:
    """Where a store lives: two cells, and a fuse that their writes burn."""

    mended: tuple[str, ...] = ()

    def __init__(self, keys: Cell, witness: Cell, fuse: Fuse) -> None:
        self.files = KeyFiles(FusedCell(keys, fuse), FusedCell(witness, fuse))

    def close(self) -> None:
        return None
