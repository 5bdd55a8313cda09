"""The npm client against the SQL port: ``python -m tests.sinks.sql_port.with_node``. Needs node, npm and the npm registry.

It is no part of ``make test``, which downloads nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.sinks.sql_port.port import open_port
from tests.sinks.warehouse import Warehouse

PACKAGE = "@clickhouse/client@1"
SCRIPT = Path(__file__).with_name("node_client.mjs")


async def main() -> int:
    """Install the package in a directory that is removed afterwards, and run the script there."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        sys.stderr.write(f"not run: {' and '.join(missing)} cannot be found\n")
        return 2
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        shutil.copy(SCRIPT, here)
        if status := await _run(here, "npm", "install", "--no-save", "--no-audit", "--no-fund", PACKAGE):
            sys.stderr.write(f"not run: npm could not install {PACKAGE}\n")
            return status
        warehouse = Warehouse(here)
        try:
            async with open_port(warehouse) as port:
                return await _run(here, "node", SCRIPT.name, port.url, port.tokens["analyst"])
        finally:
            warehouse.close()


async def _run(directory: Path, *command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, cwd=directory)
    return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
