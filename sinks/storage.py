"""Where the embedded engine keeps its data: on encrypted disks, one for each key, and what says so to the engine.

A key is named in the configuration by an environment variable, never written into it. The variable exists only while the
engine opens.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from sinks.errors import EngineInUse, KeyFileUnusable
from sinks.sql_port.roles import users_xml
from sinks.storage_keys import Ring, read_key_text

POLICY = "encrypted"
"""The storage policy of all tables that hold data."""

_ASIDE = "retired_"

_CONFIG = """\
<clickhouse>
    <users_config>{users}</users_config>
    <tmp_policy>spills</tmp_policy>
    <storage_configuration>
        <disks>
            <historical_files>
                <type>local</type>
                <path>{historical}/</path>
            </historical_files>
{disks}
        </disks>
        <policies>
            <encrypted>
                <volumes>
{volumes}
                </volumes>
                <move_factor>0</move_factor>
            </encrypted>
            <spills>
                <volumes>
                    <main><disk>{newest}</disk></main>
                </volumes>
            </spills>
        </policies>
    </storage_configuration>
</clickhouse>
"""
_DISK = """\
            <{key.disk}>
                <type>encrypted</type>
                <disk>historical_files</disk>
                <path>{key.directory}/</path>
                <algorithm>AES_256_CTR</algorithm>
                <key_hex from_env="{key.variable}"/>
            </{key.disk}>"""
# The first volume takes what is written; the others are only read, and emptied by a rotation.
_VOLUME = """\
                    <{name}><disk>{key.disk}</disk></{name}>"""


def prepare(data_dir: Path, ring: Ring) -> tuple[Path, Path]:
    """Make the engine's directory and its configuration; returns both paths.

    Raises:
        KeyFileUnusable: there are data of a key that is not in the ring. The engine would open without them.
    """
    directory = data_dir / "clickhouse"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_keys(directory / "historical", ring)
    config, users = data_dir / "clickhouse.xml", data_dir / "clickhouse-users.xml"
    users.write_text(users_xml())
    config.write_text(
        _CONFIG.format(
            users=escape(str(users)),
            historical=escape(str(directory / "historical")),
            disks="\n".join(_DISK.format(key=key) for key in ring),
            volumes="\n".join(_VOLUME.format(key=key, name=f"of_key_{key.number}") for key in ring),
            newest=ring[0].disk,
        )
    )
    return directory, config


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """While directories of keys are moved. Raises EngineInUse where another process moves them."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "clickhouse.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise EngineInUse(f"{data_dir} cannot be opened: another process ends a rotation of its storage key.") from None
    finally:
        os.close(descriptor)


def set_aside(data_dir: Path, keys: Ring) -> None:
    """Take the directories of keys out of the engine's reach, while ``locked``. ``settle`` decides what becomes of them."""
    for kept, aside in _places(data_dir, keys):
        if kept.exists():
            kept.rename(aside)


def settle(data_dir: Path, ring: Ring) -> None:
    """Put back what was set aside of keys of the ring, and delete the rest: what ``set_aside`` was followed by decides."""
    for kept, aside in _places(data_dir, ring):
        if aside.exists():
            shutil.rmtree(kept, ignore_errors=True)
            aside.rename(kept)
    for left in (data_dir / "clickhouse" / "historical").glob(f"{_ASIDE}*"):
        shutil.rmtree(left)


def read_token(path: Path) -> str:
    """The SQL port's token. Raises KeyFileUnusable where the file cannot be read or is empty."""
    text = read_key_text(path)
    if not text:
        raise KeyFileUnusable(f"{path} is empty.")
    return text


@contextlib.contextmanager
def keys_in_environment(ring: Ring) -> Iterator[None]:
    """Show the keys to the engine that opens meanwhile."""
    os.environ.update({key.variable: key.digits for key in ring})
    try:
        yield
    finally:
        for key in ring:
            del os.environ[key.variable]


def _require_keys(historical: Path, ring: Ring) -> None:
    known = {key.directory for key in ring}
    unknown = [path for path in historical.glob("encrypted*") if path.is_dir() and path.name not in known]
    if unknown:
        raise KeyFileUnusable(
            f"{unknown[0]} holds data of a key that VIWORKS_STORAGE_KEY_FILE does not have: restore the file."
        )


def _places(data_dir: Path, keys: Ring) -> list[tuple[Path, Path]]:
    historical = data_dir / "clickhouse" / "historical"
    return [(historical / key.directory, historical / f"{_ASIDE}{key.directory}") for key in keys]
