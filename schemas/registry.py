"""The Avro schemas by id, subject and version. The ids are part of the contract: they stand in every Kafka value.

A schema once released is never edited: a change is a new file ``<name>.<version>.avsc`` and a new row here with a new id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from schemas.errors import CodecError


@dataclass(frozen=True, slots=True)
class SchemaRow:
    """One schema version. ``id`` is the 4-byte id of the Confluent wire format."""

    id: int
    name: str
    version: int

    @property
    def text(self) -> str:
        """The schema as the ``.avsc`` file has it."""
        return resources.files("schemas").joinpath("avro", f"{self.name}.{self.version}.avsc").read_text()

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document


SCHEMAS: tuple[SchemaRow, ...] = (
    SchemaRow(1, "registration", 1),
    SchemaRow(2, "verdict", 1),
    SchemaRow(3, "client", 1),
    SchemaRow(4, "heartbeat", 1),
    SchemaRow(5, "tick", 1),
    SchemaRow(6, "session", 1),
    SchemaRow(7, "event", 1),
    SchemaRow(8, "liveness", 1),
    SchemaRow(9, "alert", 1),
    SchemaRow(10, "audit", 1),
    SchemaRow(11, "rejection", 1),
    SchemaRow(12, "policy", 1),
    SchemaRow(13, "revocation", 1),
    SchemaRow(14, "registration", 2),
    SchemaRow(15, "verdict", 2),
    SchemaRow(16, "client", 2),
    SchemaRow(17, "revocation", 2),
    SchemaRow(18, "event", 2),
    SchemaRow(19, "policy", 2),
    SchemaRow(20, "key_rotation", 1),
    SchemaRow(21, "certificate_request", 1),
    SchemaRow(22, "enrolment_claim", 1),
    SchemaRow(23, "command", 1),
    SchemaRow(24, "enrolment", 1),
    SchemaRow(25, "client_key", 1),
    SchemaRow(26, "heartbeat", 2),
    SchemaRow(27, "tick", 2),
    SchemaRow(28, "liveness", 2),
    SchemaRow(29, "alert", 2),
    SchemaRow(30, "signal", 1),
    SchemaRow(31, "silence", 1),
    SchemaRow(32, "policy", 3),
    SchemaRow(33, "audit_checkpoint", 1),
    SchemaRow(34, "heartbeat", 3),
)


@cache
def schema_by_id(schema_id: int) -> SchemaRow:
    """Raise CodecError for an id that is not in the table."""
    for row in SCHEMAS:
        if row.id == schema_id:
            return row
    raise CodecError(f"no schema has the id {schema_id}")


@cache
def latest_schema(name: str) -> SchemaRow:
    """The newest version of a schema. Raise CodecError for a name that is not in the table."""
    rows = [row for row in SCHEMAS if row.name == name]
    if not rows:
        raise CodecError(f"no schema is named {name}")
    return max(rows, key=lambda row: row.version)
