"""What a request of each route holds, for the API's document: parameters and body."""

from __future__ import annotations

from typing import Any

from ingest import batch, extract
from ingest.openapi_schemas import reference, schema_of
from ingest.route import RouteRow
from schemas.messages import MAX_BODY_BYTES, ClientId, ClientRegistration, Millis, SignatureText

SECURITY_SCHEMES = {
    "api_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "The API key of the answer to a registration. It is good for the calls that it names, and may be "
        "bound to the client's TLS certificate (RFC 8705).",
    }
}
BATCH_LINE = "BatchLine"
_TEXT = {"type": "string"}


def parameters_of(row: RouteRow) -> list[dict[str, Any]]:
    """The headers of a request, but for those that OpenAPI says elsewhere (Authorization, Content-Type)."""
    known = bool(row.scope)
    found = [_header("X-Client-ID", "Equal to the API key's client, and to the body's client_id", ClientId, required=known)]
    if row.method == "GET":
        signed = "Over `GET`, the path with its query, the client id and X-Timestamp, one a line"
        found += [
            _header("X-Signature", signed, SignatureText, required=True),
            _header("X-Timestamp", "Milliseconds since the epoch; strict mode requires it", Millis),
            _header("If-None-Match", "ETags that the client has", str),
        ]
    elif row.message is not None:
        found.append(_header("X-Signature", "Equal to the body's signature", SignatureText, required=known))
    if row.message is ClientRegistration:
        found.append(_header("X-Enrolment-Token", "Leave to enrol, where the server asks for it", str))
    return found


def body_of(row: RouteRow) -> dict[str, Any] | None:
    """The request's body; None for a GET."""
    if row.method == "GET":
        return None
    if row.message is None:
        return _content(
            batch.MEDIA_TYPE,
            {**_TEXT, "x-line-schema": {"$ref": f"#/components/schemas/{BATCH_LINE}"}},
            f"At most {row.body_limit} bytes and {batch.MAX_LINES} lines, each a signed message as if it were sent alone",
        )
    signed = "Signed over these very bytes, with the value of `signature` blanked to an empty string"
    return _content(extract.JSON, reference(row.message), f"At most {row.body_limit or MAX_BODY_BYTES} bytes. {signed}")


def batch_line() -> dict[str, Any]:
    """The schema of a line of a batch: one form for each kind of message."""
    return {"oneOf": [_line(name, kind) for name, (kind, _) in batch.KINDS.items()]}


def _line(name: str, kind: type[Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": name}, "message": reference(kind)},
        "required": ["type", "message"],
        "additionalProperties": False,
    }


def _content(media_type: bytes, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"required": True, "description": description, "content": {media_type.decode(): {"schema": schema}}}


def _header(name: str, description: str, kind: Any, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": schema_of(kind),
    }
