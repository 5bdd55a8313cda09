"""What somebody who has the disk can read: files as they are, and the compressed blocks in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

# A block: 16 bytes of checksum, then method, its size with these nine bytes, its size when decompressed.
_CHECKSUM, _HEAD = 16, 9
_NONE = 0x02
_CODECS = {0x82: "lz4_raw", 0x90: "zstd"}


def readable(directory: Path) -> bytes:
    """All that the files under a directory give away."""
    return b"\n".join(_contents(path) for path in sorted(directory.rglob("*")) if path.is_file())


def _contents(path: Path) -> bytes:
    try:
        stored = path.read_bytes()
    except FileNotFoundError:  # merged away meanwhile
        return b""
    return b"".join((stored, *_blocks(stored)))


def _blocks(stored: bytes) -> Iterator[bytes]:
    at = 0
    while at + _CHECKSUM + _HEAD <= len(stored):
        head = stored[at + _CHECKSUM :]
        size, plain_size = (int.from_bytes(head[first : first + 4], "little") for first in (1, 5))
        if not _HEAD < size <= len(head) or plain_size > 1 << 30:
            return
        try:
            yield _decompressed(head[0], head[_HEAD:size], plain_size)
        except (OSError, pa.ArrowException):
            return
        at += _CHECKSUM + size


def _decompressed(method: int, body: bytes, plain_size: int) -> bytes:
    if method in _CODECS:
        plain: bytes = pa.Codec(_CODECS[method]).decompress(body, plain_size, asbytes=True)
        return plain
    return body if method == _NONE else b""
