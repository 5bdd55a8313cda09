"""The light install: the wheel of this tree in an environment of its own with what it says it needs, and no more."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bench.footprint import build_wheel, import_ms

NEEDED = {"viworks", "cffi", "cryptography", "h11", "msgspec", "pycparser", "pynacl"}
NEEDED_MODULES = (
    "asyncio, cryptography.hazmat.primitives.asymmetric.x25519, cryptography.hazmat.primitives.ciphers.aead, "
    "cryptography.x509, email, h11, hashlib, json, logging, msgspec, nacl.signing, secrets, sqlite3, ssl"
)
"""What the library cannot do without."""
MOST_OF_NEEDED = 1.5


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of that environment. Its packages are this environment's, so that nothing is downloaded."""
    directory = tmp_path_factory.mktemp("light")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory / "venv"], check=True)
    packages = next((directory / "venv" / "lib").glob("python3*")) / "site-packages"
    with zipfile.ZipFile(build_wheel(directory)) as wheel:
        wheel.extractall(packages)
    for name in needs(packages) - {"viworks"}:
        for entry in {file.parts[0] for file in distribution(name).files or () if file.parts[0] != ".."}:
            (packages / entry).symlink_to(Path(str(distribution(name).locate_file(entry))))
    return directory / "venv" / "bin" / "python"


def needs(packages: Path) -> set[str]:
    """What the wheel's own metadata and that of its dependencies ask for, without extras."""
    found, metadata = {"viworks"}, next(packages.glob("viworks-*.dist-info")) / "METADATA"
    requires = re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(), re.MULTILINE)
    while requires:
        requirement = Requirement(requires.pop())
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name.lower() not in found:
            found.add(requirement.name.lower())
            requires += distribution(requirement.name).requires or []
    return found


def run(python: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_it_needs_these_packages_alone(python: Path) -> None:
    assert needs(next((python.parent.parent / "lib").glob("python3*")) / "site-packages") == NEEDED


def test_every_module_of_the_library_can_be_imported(python: Path) -> None:
    program = """
import importlib, pkgutil, viworks
for module in pkgutil.walk_packages(viworks.__path__, "viworks."):
    importlib.import_module(module.name)
    print(module.name)
"""
    done = run(python, program)
    assert done.returncode == 0, done.stderr
    assert "viworks.transport.doh" in done.stdout


def test_the_command_says_how_to_get_the_server(python: Path) -> None:
    done = run(python, "import sys; sys.argv = ['viworks', 'up']; from infra.cli import main; main()")
    assert done.returncode == 1
    assert 'pip install "viworks[server]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_it_costs_little_more_than_what_it_needs(python: Path) -> None:
    """By the processor's time, each beside the other; ``python -m bench.footprint`` prints milliseconds."""
    pairs = [(import_ms(python, "viworks"), import_ms(python, NEEDED_MODULES)) for _ in range(10)]
    ratios = [whole / needed for (_, whole), (_, needed) in pairs[1:]]  # the first one makes the byte code
    assert statistics.median(ratios) <= MOST_OF_NEEDED, ratios
