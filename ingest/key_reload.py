"""The server's token keys, read anew when their file changes, so that rotating them logs nobody out."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from ingest.errors import TokenError
from ingest.tokens import TokenKeys, read_keys

log = logging.getLogger(__name__)

INTERVAL_S = 1.0


async def reload_token_keys(keys: TokenKeys, path: Path, interval_s: float = INTERVAL_S) -> None:
    """Watch the file until cancelled. One that cannot be used leaves the keys as they are, and is told."""
    seen = _stamp(path)
    while True:
        await asyncio.sleep(interval_s)
        stamp = _stamp(path)
        if stamp is None or stamp == seen:
            continue
        seen = stamp
        try:
            keys.replace(read_keys(path))
            log.info("the token keys were read anew")
        except TokenError as error:
            log.error("%s; the former keys stay in use", error)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
