"""Tokens of the SQL port under a data directory: made, listed, revoked. The port sees a change at its next request."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from infra.durable_files import private_directory, write_atomically
from infra.errors import TokenRefused
from sinks.errors import KeyFileUnusable
from sinks.sql_port.tokens import Token, dump, load, new_token

_FILE = "sql-tokens.json"


def tokens(data_dir: Path) -> list[Token]:
    """What is kept of the tokens. Raises TokenRefused where the file cannot be read."""
    try:
        return load(data_dir / "secrets" / _FILE)
    except KeyFileUnusable as error:
        raise TokenRefused(str(error)) from None


def create(data_dir: Path, name: str, role: str) -> str:
    """Make a token and return it; nobody can see it again. Raises TokenRefused for a name that is none or is taken."""
    try:
        secret, token = new_token(name, role, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise TokenRefused(f"This token cannot be: {error}.") from None

    def with_it(present: list[Token]) -> list[Token]:
        if any(each.name == name for each in present):
            raise TokenRefused(f"There is a token {name} already: revoke it first, or take another name.")
        return [*present, token]

    _change(data_dir, with_it)
    return secret


def revoke(data_dir: Path, name: str) -> None:
    """End a token. Raises TokenRefused where there is none of this name."""

    def without_it(present: list[Token]) -> list[Token]:
        rest = [each for each in present if each.name != name]
        if len(rest) == len(present):
            raise TokenRefused(f"There is no token {name}: `viworks sql tokens list` shows those that there are.")
        return rest

    _change(data_dir, without_it)


def local_token(data_dir: Path, role: str) -> str:
    """The token of a role for whoever may read the server's secrets anyway; made at its first use."""
    path = data_dir / "secrets" / f"sql-local-{role}"
    name = f"local-{role}"
    known = {each.name for each in tokens(data_dir)}
    if name in known and path.exists():
        return path.read_text().strip()
    if name in known:
        revoke(data_dir, name)
    secret = create(data_dir, name, role)
    write_atomically(path, secret.encode())
    return secret


def _change(data_dir: Path, change: Callable[[list[Token]], list[Token]]) -> None:
    folder = private_directory(data_dir / "secrets")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        write_atomically(folder / _FILE, dump(change(tokens(data_dir))))
    finally:
        os.close(descriptor)
