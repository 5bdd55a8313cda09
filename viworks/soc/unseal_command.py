"""``viworks unseal``: opens sealed values on the analyst's machine.

Also ``python -m viworks.soc.unseal_command``. Status 0 where all opened, 1 where something did not, 2 for wrong options.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from schemas.sealing import Place
from schemas.sealing_suites import PrivateKey
from viworks.soc import key_file, passphrases
from viworks.soc.errors import RowUnopened, SocError
from viworks.soc.rows import Opener

MAX_LINE_BYTES = 16 << 20
_UNSAFE = re.compile("[\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; rows come by the standard input where no file is named."""
    options = _parser().parse_args(arguments)
    single = (options.client, options.type, options.id)
    if options.value is not None and None in single:
        _parser().error("a single --value needs --client, --type and --id")
    try:
        opener = Opener([_key(path, options) for path in options.key])
        if options.value is not None:
            sys.stdout.buffer.write(opener.open(options.value, Place(*single)) + b"\n")
            return 0
        with _source(options.rows) as rows:
            return _all(opener, rows)
    except BrokenPipeError:
        return 1
    except SocError as error:
        print(f"viworks unseal: {error}", file=sys.stderr)
        return 1


def _key(path: Path, options: argparse.Namespace) -> PrivateKey:
    return key_file.read(path, lambda: passphrases.ask(options.custodians, options.passphrase_file))


def _all(opener: Opener, rows: Iterable[bytes]) -> int:
    number = faulty = 0
    for number, line in enumerate(rows, 1):
        try:
            text, faults = _opened(opener, line)
        except RowUnopened as error:
            text, faults = "", [str(error)]
        if text:
            print(text)
        for fault in faults:
            print(f"line {number}: {fault}", file=sys.stderr)
        faulty += bool(faults)
    if faulty:
        print(f"viworks unseal: {faulty} of {number} rows did not open, or not in full", file=sys.stderr)
    return int(bool(faulty))


def _opened(opener: Opener, line: bytes) -> tuple[str, list[str]]:
    if not line.strip():
        return "", []
    try:
        row = json.loads(line.decode(errors="surrogateescape"))  # ClickHouse writes columns of bytes as they are
    except (ValueError, RecursionError):
        raise RowUnopened("it is no JSON") from None
    if not isinstance(row, dict):
        raise RowUnopened("it is no row: JSONEachRow has an object in each line")
    opened, faults = opener.open_row(row)
    return _UNSAFE.sub(_escaped, json.dumps(opened, ensure_ascii=False)), faults


def _escaped(found: re.Match[str]) -> str:
    """What moves a cursor, as JSON escapes it; a byte that was no UTF-8 as the text ``\\xd6``."""
    code = ord(found.group())
    return f"\\\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _source(path: Path | None) -> _Lines:
    try:
        return _Lines(sys.stdin.buffer if path is None else path.open("rb"))
    except OSError as error:
        raise SocError(f"the rows cannot be read: {type(error).__name__}") from None


class _Lines:
    """Lines of a bounded length."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise RowUnopened(f"a line is longer than {MAX_LINE_BYTES} bytes")
            yield line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="viworks unseal", description="Open sealed values with the SOC's private key.")
    parser.add_argument("rows", nargs="?", type=Path, metavar="FILE", help="rows as JSONEachRow; default: standard input")
    parser.add_argument("--key", type=Path, required=True, action="append", help="the private key; former ones may follow")
    parser.add_argument("--value", metavar="ENVELOPE", help="open this one value; with --client, --type and --id")
    parser.add_argument("--client", metavar="CLIENT_ID")
    parser.add_argument("--type", metavar="KIND.COLUMN", help="such as event.description")
    parser.add_argument("--id", metavar="MESSAGE_ID", help="event id, session id, or timestamp in milliseconds")
    add_passphrase_options(parser)
    return parser


def add_passphrase_options(parser: argparse.ArgumentParser) -> None:
    """Where the passphrase comes from."""
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its first line; default: ask")
    parser.add_argument("--custodians", type=int, choices=range(1, 10), default=1, metavar="N", help="who each type a part")


if __name__ == "__main__":
    sys.exit(main())
