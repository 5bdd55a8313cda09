"""What each route answers, for the API's document: successes with their headers, and problems with their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from ingest import errors
from ingest.openapi_schemas import reference
from ingest.refusals import FRONT, problems_of
from ingest.route import RouteRow

JSON = "application/json"

_HEADERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Cache-Control": ("Whether the answer may be kept", {"type": "string"}),
    "Connection": ("The connection ends after this answer", {"type": "string"}),
    "ETag": ("The document's version, strong (RFC 9110)", {"type": "string"}),
    "RateLimit": ("What is left of the budget (draft-ietf-httpapi-ratelimit-headers-10)", {"type": "string"}),
    "RateLimit-Policy": ("The budget", {"type": "string"}),
    "Retry-After": ("Seconds to wait before the next try", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("Which credentials are missing or refused (RFC 6750)", {"type": "string"}),
    "X-Key-Rotation": ("`due` where the client's key is older than its policy allows", {"const": "due"}),
    "X-Policy-Version": ("The version of the policies in force", {"type": "integer", "minimum": 0}),
}
_DOCUMENT = ("Cache-Control", "ETag", "X-Policy-Version")
_OF_SUCCESS: Mapping[tuple[str, int], tuple[str, ...]] = {
    ("heartbeat", 202): ("X-Policy-Version",),
    ("register", 201): ("Cache-Control",),
    ("register", 202): ("Retry-After",),
    ("keys", 200): ("Cache-Control",),
    ("certificates", 200): ("Cache-Control",),
    ("config", 200): _DOCUMENT,
    ("config", 304): _DOCUMENT,
    ("policies", 200): _DOCUMENT,
    ("policies", 304): _DOCUMENT,
}
"""By route and status; all of them come with every such answer. A test compares them with a running edge's."""


_AT_TIMES: Mapping[str, tuple[str, ...]] = {"heartbeat": ("X-Key-Rotation",)}
"""By route: what comes with some of its successes. Every route of a client tells when its budget runs low."""

_BUDGET = ("RateLimit", "RateLimit-Policy")
_OF_PROBLEM: Mapping[type[errors.Problem], tuple[str, ...]] = {
    **dict.fromkeys(FRONT, ("Connection",)),
    errors.TooManyRequests: ("Connection", "Retry-After", *_BUDGET),
    errors.Overloaded: ("Connection", "Retry-After"),
}
"""What comes with some answers of a problem, besides what its class says."""


def answers_of(row: RouteRow) -> dict[str, Any]:
    """All answers of a route, by status."""
    successes = {str(status): _success(row, status, kind) for status, kind in row.answers.items()}
    return {**successes, **refusals(problems_of(row))}


def refusals(problems: Iterable[type[errors.Problem]]) -> dict[str, Any]:
    """The answers to these problems, by status. They must come in its order."""
    by_status = groupby(problems, key=lambda kind: kind.status)
    return {str(status): _refusal(status, list(kinds)) for status, kinds in by_status}


def json_answer(description: str, kind: type[Any]) -> dict[str, Any]:
    """An answer with a JSON body of this struct."""
    return {"description": description, "content": {JSON: {"schema": reference(kind)}}}


def _success(row: RouteRow, status: int, kind: type[Any] | None) -> dict[str, Any]:
    names = _OF_SUCCESS.get((row.name, status), ())
    at_times = (*_AT_TIMES.get(row.name, ()), *(_BUDGET if row.scope else ()))
    headers = {name: _header(name, required=name in names) for name in (*names, *at_times)}
    answer = {"description": "Not changed"} if kind is None else json_answer(_first_sentence(kind), kind)
    return {**answer, "headers": headers} if headers else answer


def _refusal(status: int, kinds: list[type[errors.Problem]]) -> dict[str, Any]:
    types = [errors.TYPE_PREFIX + kind.slug for kind in kinds]
    narrowed = {"properties": {"type": {"enum": types}, "status": {"const": status}}}
    schema = {"allOf": [reference(errors.ProblemDocument), narrowed]}
    answer: dict[str, Any] = {
        "description": ". ".join(kind.title for kind in kinds),
        "content": {errors.MEDIA_TYPE.decode(): {"schema": schema}},
    }
    headers = _headers_of(kinds)
    return {**answer, "headers": headers} if headers else answer


def _headers_of(kinds: list[type[errors.Problem]]) -> dict[str, Any]:
    sent = [{name.decode() for name in kind.headers} for kind in kinds]
    at_times = {name for kind in kinds for name in _OF_PROBLEM.get(kind, ())}
    names = [name for name in _HEADERS if name in at_times or any(name.lower() in each for each in sent)]
    return {name: _header(name, required=all(name.lower() in each for each in sent)) for name in names}


def _header(name: str, *, required: bool) -> dict[str, Any]:
    description, schema = _HEADERS[name]
    return {"description": description, "required": required, "schema": schema}


def _first_sentence(kind: type[Any]) -> str:
    return (kind.__doc__ or kind.__name__).split("\n", 1)[0].rstrip(".")
