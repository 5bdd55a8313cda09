"""The read-only part of Confluent's Schema Registry API, over the schemas of the contract.

Consumers with an Avro deserialiser find the schema of a value by the id in its header: ``GET /schemas/ids/{id}``.
Subjects are ``<topic>-value``; a topic's control records are ``<topic>-<full name of the record>``.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schemas.registry import SCHEMAS, SchemaRow
from schemas.topics import TOPICS

_SUBJECT_NOT_FOUND, _VERSION_NOT_FOUND, _SCHEMA_NOT_FOUND = 40401, 40402, 40403


class _Json(JSONResponse):
    media_type = "application/vnd.schemaregistry.v1+json"


def subjects() -> dict[str, list[SchemaRow]]:
    """Each subject with its versions, oldest first."""
    found: dict[str, list[SchemaRow]] = {}
    for topic in TOPICS:
        for position, name in enumerate(topic.schemas):
            rows = sorted((row for row in SCHEMAS if row.name == name), key=lambda row: row.version)
            full_name = f"{rows[0].json['namespace']}.{rows[0].json['name']}"
            found[f"{topic.name}-{'value' if position == 0 else full_name}"] = rows
    return found


SUBJECTS = subjects()


def _error(status: int, code: int, message: str) -> Response:
    return _Json({"error_code": code, "message": message}, status)


async def _list_subjects(_: Request) -> Response:
    return _Json(sorted(SUBJECTS))


async def _list_versions(request: Request) -> Response:
    rows = SUBJECTS.get(request.path_params["subject"])
    if rows is None:
        return _error(404, _SUBJECT_NOT_FOUND, "Subject not found.")
    return _Json([row.version for row in rows])


async def _version(request: Request) -> Response:
    subject, version = request.path_params["subject"], request.path_params["version"]
    rows = SUBJECTS.get(subject)
    if rows is None:
        return _error(404, _SUBJECT_NOT_FOUND, "Subject not found.")
    chosen = rows[-1] if version == "latest" else next((row for row in rows if str(row.version) == version), None)
    if chosen is None:
        return _error(404, _VERSION_NOT_FOUND, "Version not found.")
    return _Json({"subject": subject, "version": chosen.version, "id": chosen.id, "schema": chosen.text})


async def _by_id(request: Request) -> Response:
    chosen = next((row for row in SCHEMAS if str(row.id) == request.path_params["id"]), None)
    if chosen is None:
        return _error(404, _SCHEMA_NOT_FOUND, "Schema not found")
    return _Json({"schema": chosen.text})


async def _types(_: Request) -> Response:
    return _Json(["AVRO"])


async def _config(_: Request) -> Response:
    return _Json({"compatibilityLevel": "BACKWARD"})


async def _mode(_: Request) -> Response:
    return _Json({"mode": "READONLY"})


ROUTES = [
    Route("/subjects", _list_subjects),
    Route("/subjects/{subject}/versions", _list_versions),
    Route("/subjects/{subject}/versions/{version}", _version),
    Route("/schemas/ids/{id}", _by_id),
    Route("/schemas/types", _types),
    Route("/config", _config),
    Route("/mode", _mode),
]
