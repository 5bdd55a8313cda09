"""Options that several commands take, and the broker that they choose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.settings import InfraSettings

Data = Annotated[Path | None, typer.Option("--data", help="Data directory (VIWORKS_DATA_DIR, default .viworks).")]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="The broker, where no `up` runs (VIWORKS_KAFKA).")
]
ClickHouse = Annotated[
    str | None, typer.Option("--clickhouse", metavar="DSN", help="The server (VIWORKS_CLICKHOUSE); default: the SQL port.")
]
Actor = Annotated[str | None, typer.Option("--actor", help="Who gives the order; default: your user name.")]


def broker_of(data: Path | None, kafka: str | None) -> str:
    """The broker of these options, see ``administration.bootstrap_of``. Raises NotRunning."""
    # Imported here: a command that only prints its help needs no client of Kafka.
    from infra.administration import bootstrap_of

    return bootstrap_of(InfraSettings.load(data_dir=data, kafka=kafka))
