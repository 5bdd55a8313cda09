"""Node against the vectors and against a running system: ``python -m tests.clients.other_language``. Needs node 20 or newer.

It is no part of ``make test``, which needs Python alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.documented import examples
from tests.end_to_end.system import System

VECTORS = Path(__file__).parents[2] / "schemas" / "vectors" / "signing.json"


def main() -> int:
    """Check the vectors, then let the example of the documentation register and speak."""
    if shutil.which("node") is None:
        sys.stderr.write("not run: node cannot be found\n")
        return 2
    if status := _node(Path(__file__).with_name("vectors.mjs"), str(VECTORS)):
        return status
    with tempfile.TemporaryDirectory() as directory, System(Path(directory) / "data", 1, 30) as system:
        program = Path(directory) / "client.mjs"
        [example] = examples("js")
        program.write_text(example)
        return _node(program, system.run["edge"], "node-1")


def _node(program: Path, *arguments: str) -> int:
    return subprocess.run(["node", program, *arguments], check=False, timeout=60).returncode


if __name__ == "__main__":
    sys.exit(main())
