"""``<data>/run.json``: where everything is while the supervisor runs, for programs and for ``viworks status``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.durable_files import write_atomically
from infra.ports import LOOPBACK
from infra.service import PartProcess
from infra.settings import InfraSettings

NAME = "run.json"
# The parts of which several may run; the pids of the others are single numbers.
_MANY = ("edge", "processors")
_ONE = ("sink", "console")
# Parts that run only where the settings ask for them.
_IF_ANY = ("delivery",)


def addresses(settings: InfraSettings, bootstrap: str, sql_token: Path) -> dict[str, str]:
    """The addresses of all parts by name."""
    return {
        "edge": f"http://{LOOPBACK}:{settings.edge_port}",
        "edge_tls": f"https://{LOOPBACK}:{settings.edge_tls_port}",
        "sql": f"http://{LOOPBACK}:{settings.sql_port}",
        "sql_token_file": str(sql_token),
        "console": f"http://{LOOPBACK}:{settings.console_port}",
        "kafka": bootstrap,
        "registry": f"http://{LOOPBACK}:{settings.console_port}/registry",
        "metrics": f"http://{LOOPBACK}:{settings.metrics_port}/metrics",
    }


def pids(kafka: int | None, parts: Iterable[PartProcess]) -> dict[str, Any]:
    """The process ids that live now: lists for parts of which several may run, else a number, or null.

    A part that not every installation has is there only while it runs.
    """
    alive: dict[str, list[int]] = {name: [] for name in (*_MANY, *_ONE, *_IF_ANY)}
    for process in parts:
        if process.part.name in alive and process.pid is not None:
            alive[process.part.name].append(process.pid)
    many = {name: alive[name] for name in _MANY}
    one = {name: next(iter(alive[name]), None) for name in _ONE}
    extra = {name: found[0] for name in _IF_ANY if (found := alive[name])}
    return {"kafka": kafka, **many, **one, **extra}


def write(data_dir: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    write_atomically(data_dir / NAME, json.dumps(content, indent=2).encode() + b"\n", mode=0o644)


def read(data_dir: Path) -> dict[str, Any] | None:
    """The content; None where there is no such file."""
    try:
        content: dict[str, Any] = json.loads((data_dir / NAME).read_text())
    except FileNotFoundError:
        return None
    return content


def remove(data_dir: Path) -> None:
    """Remove the file, if it is there."""
    (data_dir / NAME).unlink(missing_ok=True)
