"""``viworks soc-key``: the ceremony that makes the SOC's key, on a machine without a network.

Also ``python -m viworks.soc.key_command``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import SealingError
from schemas.sealing import SealingKey
from schemas.sealing_suites import MAX_PEM_BYTES
from viworks.soc import key_file, passphrases
from viworks.soc.errors import KeyUnusable, SocError
from viworks.soc.unseal_command import add_passphrase_options

SUITES = {"x25519": False, "mlkem768-x25519": True}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = _parser().parse_args(arguments)
    try:
        if options.action == "create":
            _create(options)
        else:
            _show(options)
    except SocError as error:
        print(f"viworks soc-key: {error}", file=sys.stderr)
        return 1
    return 0


def _create(options: argparse.Namespace) -> None:
    passphrase = passphrases.ask_twice(options.custodians, options.passphrase_file)
    key = key_file.made(SUITES[options.suite])
    key_file.write_pair(options.out, key, passphrase)
    _print(SealingKey(key.public_key()))
    print(f"private      {options.out / key_file.PRIVATE_NAME}   stays here, and in a safe")
    print(f"public       {options.out / key_file.PUBLIC_NAME}    goes to the servers (VIWORKS_SEALING_KEY_FILE)")
    print(
        "Read the fingerprint out to whoever installs the public key: `viworks soc-key show FILE` must say the same there."
    )


def _show(options: argparse.Namespace) -> None:
    try:
        with options.file.open("rb") as file:
            content = file.read(MAX_PEM_BYTES + 1)
    except OSError as error:
        raise KeyUnusable(f"{options.file.name} cannot be read: {type(error).__name__}") from None
    if b"PRIVATE KEY" in content:
        ask = lambda: passphrases.ask(options.custodians, options.passphrase_file)  # noqa: E731
        _print(SealingKey(key_file.unlocked(content, ask).public_key()))
        return
    try:
        _print(SealingKey.from_pem(content))
    except SealingError as error:
        raise KeyUnusable(f"{options.file.name}: {error}") from None


def _print(key: SealingKey) -> None:
    print(f"suite        {key.suite.name}")
    print(f"key id       {key.key_id}")
    print(f"fingerprint  {key_file.spoken(key)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="viworks soc-key", description="Make and show the SOC's key.")
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key: a private file under a passphrase and a public one")
    create.add_argument("--out", type=Path, required=True, metavar="DIR")
    create.add_argument("--suite", choices=SUITES, default="x25519")
    show = actions.add_parser("show", help="suite, key id and fingerprint of a public or private key file")
    show.add_argument("file", type=Path, metavar="FILE")
    for action in (create, show):
        add_passphrase_options(action)
    return parser


if __name__ == "__main__":
    sys.exit(main())
