"""What the client library costs an endpoint: ``python -m bench.footprint`` [--json].

Builds the wheel of the working tree, installs it into a fresh virtual environment through pip's configured index, and prints
the installed size, the packages and how long ``import viworks`` takes. Needs git and an index; changes nothing in the tree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TREE = Path(__file__).parents[1]
ROUNDS = 15
# What every virtual environment has, whatever is installed.
_PRESENT = {"pip", "setuptools"}


def measure(directory: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Install into ``directory`` and return the figures. Raises CalledProcessError where pip fails."""
    wheel = build_wheel(directory)
    python = fresh_environment(directory / "venv")
    packages = Path(_output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    before = _size(packages)
    _pip(python, "install", str(wheel))
    listed = json.loads(_output(python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"))
    versions = {item["name"]: item["version"] for item in listed if item["name"] not in _PRESENT}
    return {
        "wheel_kb": round(wheel.stat().st_size / 1000),
        "installed_mb": round((_size(packages) - before) / 1e6, 1),
        "packages": versions,
        **import_times(python, rounds),
    }


def build_wheel(directory: Path) -> Path:
    """The wheel of the tree as it stands, what is not committed yet included."""
    source = directory / "source"
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (TREE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, source / name)
    _pip(Path(sys.executable), "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(directory), str(source))
    return next(directory.glob("viworks-*.whl"))


def fresh_environment(directory: Path) -> Path:
    """A virtual environment with nothing in it; returns its python."""
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    return directory / "bin" / "python"


def import_times(python: Path, rounds: int) -> dict[str, float]:
    """``import viworks``: medians in milliseconds, after a first one that makes the byte code."""
    wall, cpu = zip(*[import_ms(python, "viworks") for _ in range(rounds + 1)][1:], strict=True)
    return {"import_ms": round(statistics.median(wall), 1), "import_cpu_ms": round(statistics.median(cpu), 1)}


def import_ms(python: Path, modules: str) -> tuple[float, float]:
    """One import in a fresh process, less what one takes that imports nothing: by the wall and of the processor, in ms.

    The processor's time says what the import costs on a machine that is busy with other things.
    """
    before, after = _run_ms(python, "pass"), _run_ms(python, f"import {modules}")
    return after[0] - before[0], after[1] - before[1]


def _run_ms(python: Path, program: str) -> tuple[float, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([python, "-I", "-c", program], check=True, cwd="/", env={**os.environ, "PYTHONWARNINGS": ""})
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall * 1000, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def _pip(python: Path, command: str, *arguments: str) -> None:
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", command, *quiet, *arguments], check=True)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=TREE, check=True, capture_output=True, text=True).stdout  # noqa: S607


def _output(python: Path, *arguments: str) -> str:
    return subprocess.run([python, *arguments], check=True, capture_output=True, text=True).stdout


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        figures = measure(Path(directory))
    if options.json:
        print(json.dumps(figures))
        return
    names = ", ".join(f"{name} {version}" for name, version in sorted(figures["packages"].items()))
    print(f"installed       {figures['installed_mb']} MB, of them our wheel {figures['wheel_kb']} kB packed")
    print(f"packages        {len(figures['packages'])}: {names}")
    print(f"import viworks  {figures['import_ms']} ms, {figures['import_cpu_ms']} ms of them processor time")


if __name__ == "__main__":
    main()
