"""A supervisor in a process of its own, as a user has it, with the part specifications given as JSON.

supervised.py DATA_DIR KAFKA PARTS        KAFKA "" for the embedded broker; PARTS [[name, stage, [command...]], ...]
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from infra.errors import InfraError
from infra.service import Part
from infra.settings import InfraSettings
from infra.supervisor import Supervisor
from infra.terminal import Terminal


def main(data_dir: str, kafka: str, parts: str) -> None:
    """Run it; an error of the tree becomes exit status 1."""
    settings = InfraSettings.load(data_dir=Path(data_dir), kafka=kafka, replication_factor=1)
    specifications = [Part(name, stage, tuple(command)) for name, stage, command in json.loads(parts)]
    try:
        asyncio.run(Supervisor(settings, Terminal(), specifications).run())
    except InfraError as error:
        sys.exit("\n".join([str(error), *error.detail]))


if __name__ == "__main__":
    main(*sys.argv[1:])
