"""The jars of the embedded broker: pinned by coordinates and SHA-256 in ``kafka.lock``, fetched once, always checked.

``python -m infra.kafka_jars`` renews the lock. The jars stand in the machine's Maven repository, which other programs share;
that, and mirrors, are set in jgo's own configuration file.
"""

from __future__ import annotations

import fcntl
import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import DownloadFailed

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

_BROKER = "org.apache.kafka:kafka_2.13:4.1.0"
# The broker's jars bind no logger: without this one its log, and so the reason of a failed start, is lost. Resolved on
# its own, since together with the broker its parent would choose the versions of the broker's other jars.
_LOGGER = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
_LOCK_FILE = "kafka.lock"
_PARALLEL_DOWNLOADS = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str


def pinned_jars() -> tuple[Jar, ...]:
    """The rows of the lock."""
    text = resources.files("infra").joinpath(_LOCK_FILE).read_text()
    return tuple(Jar(**row) for row in tomllib.loads(text)["jar"])


def class_path(jars: Sequence[Jar]) -> str:
    """Fetch what is missing, check all, and return the class path. Blocks; a warm call reads 50 MB and asks no network.

    Raises:
        DownloadFailed: a jar cannot be had, or is not the pinned one.
    """
    context = _maven()
    with _one_at_a_time(context.repo_cache), ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        return ":".join(str(path) for path in pool.map(lambda jar: _fetch(context, jar), jars))


def _fetch(context: MavenContext, jar: Jar) -> Path:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for _ in range(2):
        path = _resolve(artifact)
        if _sha256(path) == jar.sha256:
            return path
        # An interrupted download leaves part of a jar behind, so a wrong one is fetched anew, once.
        path.unlink()
    raise DownloadFailed(
        f"{jar.artifact}-{jar.version}.jar is not the pinned one (its SHA-256 differs from infra/{_LOCK_FILE}): "
        "check the Maven mirror that this machine uses."
    )


def _resolve(artifact: Artifact) -> Path:
    # requests' own errors are OSErrors; jgo adds RuntimeError for a jar that no repository has.
    try:
        return artifact.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise DownloadFailed(
            f"{artifact.artifactId}-{artifact.version}.jar of the embedded Kafka could not be downloaded: check that "
            "this machine reaches Maven Central or a mirror of it, or name an external broker with --kafka HOST:PORT.",
            [str(error)],
        ) from error


def _maven() -> MavenContext:
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    settings = GlobalSettings.load()
    repositories = settings.repositories or {"central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=settings.repo_cache, remote_repos=repositories, timeout=30)


@contextmanager
def _one_at_a_time(repository: Path) -> Iterator[None]:
    repository.mkdir(parents=True, exist_ok=True)
    with (repository / ".viworks-kafka").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _locked(artifact: Artifact) -> str:
    digest = _sha256(artifact.resolve())
    return (
        f'[[jar]]\ngroup = "{artifact.groupId}"\nartifact = "{artifact.artifactId}"\n'
        f'version = "{artifact.version}"\nsha256 = "{digest}"\n'
    )


def _renew_lock() -> None:
    import jgo

    jars = [*jgo.resolve(_BROKER), jgo.resolve(_LOGGER)[0]]
    header = f"# {_BROKER} with all it needs, and {_LOGGER}.\n# Renewed by `make lock`.\n\n"
    Path(__file__).with_name(_LOCK_FILE).write_text(header + "\n".join(sorted(_locked(jar) for jar in jars)))


if __name__ == "__main__":
    _renew_lock()
