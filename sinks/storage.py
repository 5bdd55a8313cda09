"""Where the embedded engine keeps its data: the plain files, and the encrypted disk of the historical tables.

The key is named in the configuration by an environment variable, never written into it. The variable exists only while the
engine opens.
"""

from __future__ import annotations

import contextlib
import os
import string
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from sinks.errors import KeyFileUnusable
from sinks.sql_port.roles import users_xml

_KEY_VARIABLE = "VIWORKS_STORAGE_KEY_HEX"
_KEY_DIGITS = 64

_CONFIG = """\
<clickhouse>
    <users_config>{users}</users_config>
    <tmp_policy>encrypted</tmp_policy>
    <storage_configuration>
        <disks>
            <historical_files>
                <type>local</type>
                <path>{historical}/</path>
            </historical_files>
            <historical>
                <type>encrypted</type>
                <disk>historical_files</disk>
                <path>encrypted/</path>
                <algorithm>AES_256_CTR</algorithm>
                <key_hex from_env="{variable}"/>
            </historical>
        </disks>
        <policies>
            <encrypted>
                <volumes>
                    <main>
                        <disk>historical</disk>
                    </main>
                </volumes>
            </encrypted>
        </policies>
    </storage_configuration>
</clickhouse>
"""


def prepare(data_dir: Path) -> tuple[Path, Path]:
    """Make the engine's directory and its configuration; returns both paths."""
    directory = data_dir / "clickhouse"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    config, users = data_dir / "clickhouse.xml", data_dir / "clickhouse-users.xml"
    users.write_text(users_xml())
    historical = escape(str(directory / "historical"))
    config.write_text(_CONFIG.format(historical=historical, variable=_KEY_VARIABLE, users=escape(str(users))))
    return directory, config


def read_storage_key(path: Path | None) -> str:
    """The key of the encrypted disk, 64 hex digits (AES-256).

    Raises:
        KeyFileUnusable: no file is named, or it cannot be read, or holds something else.
    """
    if path is None:
        raise KeyFileUnusable("The embedded engine needs a key for its encrypted disk: set VIWORKS_STORAGE_KEY_FILE.")
    text = _read(path)
    if len(text) != _KEY_DIGITS or not set(text) <= set(string.hexdigits):
        raise KeyFileUnusable(f"{path} does not hold {_KEY_DIGITS} hex digits.")
    return text


def read_token(path: Path) -> str:
    """The SQL port's token. Raises KeyFileUnusable where the file cannot be read or is empty."""
    text = _read(path)
    if not text:
        raise KeyFileUnusable(f"{path} is empty.")
    return text


@contextlib.contextmanager
def key_in_environment(key: str) -> Iterator[None]:
    """Show the key to the engine that opens meanwhile."""
    os.environ[_KEY_VARIABLE] = key
    try:
        yield
    finally:
        del os.environ[_KEY_VARIABLE]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileUnusable(f"{path} cannot be read: {type(error).__name__}.") from None
