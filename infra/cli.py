"""The entry of the ``viworks`` command. Stands alone, so that the light install can say what it lacks."""

from __future__ import annotations

import importlib
import sys

_LIGHT = {"unseal": "viworks.soc.unseal_command", "soc-key": "viworks.soc.key_command"}
"""Commands of the light install, by module: the SOC's machine needs no server."""
_OURS = {"console", "fleet", "infra", "ingest", "processors", "schemas", "sinks", "viworks"}


def main() -> None:
    """Run the command and exit with its status."""
    if sys.argv[1:2] and sys.argv[1] in _LIGHT:
        sys.exit(importlib.import_module(_LIGHT[sys.argv[1]]).main(sys.argv[2:]))
    try:
        from infra.commands import run

        status = run()
    except ModuleNotFoundError as error:
        sys.exit(_what_is_missing(error))
    sys.exit(status)


def _what_is_missing(error: ModuleNotFoundError) -> str:
    """A sentence for users. A missing module of ours is a fault of the program, and is shown as one."""
    name = (error.name or "").partition(".")[0]
    if name in _OURS:
        raise error
    if name == "fcntl":
        return "viworks: the server runs on Linux and macOS; this system can use the client library only."
    return f'viworks: this is the light install, without {name}: install viworks[server] (pip install "viworks[server]").'
