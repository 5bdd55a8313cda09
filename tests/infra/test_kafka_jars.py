"""The broker's jars: what is fetched is what was pinned, and a damaged one is mended."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from infra.errors import DownloadFailed
from infra.kafka_jars import Jar, class_path, pinned_jars

CONTENT = b"not really a jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())
PLACE = "org/example/thing/1.0/thing-1.0.jar"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the standard library's name
        """Nothing."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on loopback; returns the local one, which jgo's own settings file names."""
    served = tmp_path / "served" / PLACE
    served.parent.mkdir(parents=True)
    served.write_bytes(CONTENT)
    served.with_name(f"{served.name}.sha1").write_text(hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        local = tmp_path / "local"
        settings = f"[settings]\nrepo_cache = {local}\n[repositories]\nmirror = http://127.0.0.1:{server.server_port}\n"
        (tmp_path / "jgo.conf").write_text(settings)
        monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "jgo.conf"))
        monkeypatch.delenv("M2_REPO", raising=False)
        yield local
        server.shutdown()


def test_a_missing_jar_is_fetched_once(mirror: Path) -> None:
    assert class_path([JAR]) == str(mirror / PLACE)
    before = (mirror / PLACE).stat().st_mtime_ns
    assert class_path([JAR]) == str(mirror / PLACE)
    assert (mirror / PLACE).stat().st_mtime_ns == before


def test_half_a_jar_is_fetched_anew(mirror: Path) -> None:
    (mirror / PLACE).parent.mkdir(parents=True)
    (mirror / PLACE).write_bytes(CONTENT[:5])
    class_path([JAR])
    assert (mirror / PLACE).read_bytes() == CONTENT


def test_another_jar_than_the_pinned_one_is_refused(mirror: Path) -> None:
    with pytest.raises(DownloadFailed, match="not the pinned one"):
        class_path([Jar("org.example", "thing", "1.0", "0" * 64)])
    assert not (mirror / PLACE).exists()


def test_a_jar_that_nobody_has_is_told(mirror: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"absent-1\.0\.jar .* could not be downloaded"):
        class_path([Jar("org.example", "absent", "1.0", "0" * 64)])


def test_the_lock_pins_a_whole_broker() -> None:
    jars = pinned_jars()
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {jar.artifact for jar in jars}
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
