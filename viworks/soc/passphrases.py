"""Passphrases of the SOC's key: typed, or read from a file; of several custodians, who each know a part."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path

from viworks.soc.errors import KeyUnusable

_MAX_BYTES = 4096
Prompt = Callable[[str], str]


def ask(custodians: int, file: Path | None, prompt: Prompt = getpass.getpass) -> str:
    """The passphrase: the first line of ``file``, else what the custodians type one after the other."""
    if file is not None:
        return _first_line(file)
    return "\n".join(prompt(_label(number, custodians)) for number in range(1, custodians + 1))


def ask_twice(custodians: int, file: Path | None, prompt: Prompt = getpass.getpass) -> str:
    """The same for a new key: each part is typed twice. Raises KeyUnusable where the two differ."""
    if file is not None:
        return _first_line(file)
    parts = []
    for number in range(1, custodians + 1):
        label = _label(number, custodians)
        part = prompt(label)
        if part != prompt(f"again, {label}"):
            raise KeyUnusable("the two were not the same: nothing was made")
        parts.append(part)
    return "\n".join(parts)


def _label(number: int, custodians: int) -> str:
    return "passphrase: " if custodians == 1 else f"passphrase of custodian {number}: "


def _first_line(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).split(b"\n")[0].rstrip(b"\r").decode()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnusable(f"{file.name} cannot be read: {type(error).__name__}") from None
