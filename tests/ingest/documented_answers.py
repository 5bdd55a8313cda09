"""Holds an edge's answers against the API's document: status, headers, media type, body."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

from ingest.openapi import openapi_document

DOCUMENT: dict[str, Any] = openapi_document()
PROBLEM = "application/problem+json"
_TRANSPORT = {"content-length", "content-type", "date"}
_OUTSIDE = {404: "not-found", 405: "method-not-allowed"}


def faults(answer: httpx2.Response, method: str, path: str) -> list[str]:
    """What is wrong with an answer to this method and path (without its query); empty where it is as documented."""
    operation = DOCUMENT["paths"].get(path, {}).get(method.lower())
    if operation is None:
        return _faults_outside(answer, 405 if path in DOCUMENT["paths"] else 404)
    said = operation["responses"].get(str(answer.status_code))
    if said is None or (answer.status_code >= 500 and answer.status_code != 503):
        return [f"the status {answer.status_code} is not expected"]
    return [*_header_faults(answer, said), *_body_faults(answer, said, method, path)]


def _faults_outside(answer: httpx2.Response, expected: int) -> list[str]:
    if answer.status_code != expected:
        return [f"the status is {answer.status_code}, not {expected}"]
    found = answer.json()["type"] if answer.headers.get("content-type") == PROBLEM and answer.content else PROBLEM
    expected_type = f"urn:viworks:problem:{_OUTSIDE[expected]}"
    return [] if found in (expected_type, PROBLEM) else [f"the type is {found}"]


def _header_faults(answer: httpx2.Response, said: dict[str, Any]) -> list[str]:
    documented = {name.lower(): header["required"] for name, header in said.get("headers", {}).items()}
    unknown = set(answer.headers) - set(documented) - _TRANSPORT
    missing = {name for name, required in documented.items() if required} - set(answer.headers)
    return [f"undocumented header {name}" for name in unknown] + [f"header {name} is missing" for name in missing]


def _body_faults(answer: httpx2.Response, said: dict[str, Any], method: str, path: str) -> list[str]:
    content = said.get("content")
    if content is None:
        return ["a body that is not documented"] if answer.content else []
    media_type = answer.headers.get("content-type", "")
    if media_type not in content:
        return [f"the media type {media_type!r} is not documented"]
    validator = _validator(method, path, str(answer.status_code), media_type)
    return [error.message for error in validator.iter_errors(answer.json())]


@cache
def _validator(method: str, path: str, status: str, media_type: str) -> Draft202012Validator:
    schema = DOCUMENT["paths"][path][method.lower()]["responses"][status]["content"][media_type]["schema"]
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})
