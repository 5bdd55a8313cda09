"""Requests generated from the API's document: most are properly signed, so that they reach what lies behind the signature.

A ``Plan`` is what Hypothesis draws, and shrinks; ``Caller`` makes the request of it, with the time and the key of now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ingest.openapi_requests import BATCH_LINE
from ingest.routes import BASE_PATH
from ingest.tokens import TokenKeys
from schemas import signing
from tests.ingest.documented_answers import DOCUMENT
from tests.ingest.schema_values import nearly, of_component

OPERATIONS = [(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations]
SIGNED = [(method, path) for method, path in OPERATIONS if path.startswith(BASE_PATH)]
HEADERS = (
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "If-None-Match",
    "X-Client-ID",
    "X-Enrolment-Token",
    "X-Signature",
    "X-Timestamp",
)
_HEADER_TEXTS = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=30).map(str.strip),
    st.sampled_from(["*", "gzip", "application/json", "Bearer v4.local.AAAA", f"vwe1-{'0' * 12}-{'0' * 48}", "0" * 15]),
)
_TIMES = ("timestamp", "start_time", "end_time")


class Line(NamedTuple):
    """One signed message. ``own``: of the caller, not of whom was drawn. ``now``: the times are now's, less ``age_ms``."""

    message: dict[str, Any]
    own: bool
    now: bool
    age_ms: int
    signed: bool


@dataclass(frozen=True)
class Plan:
    """What a request is to be.

    ``headers`` are changed or, by None, left out; ``more`` come besides, so that one may stand twice. ``cut`` changes the
    body at that place.
    """

    method: str
    path: str
    lines: tuple[tuple[str, Line], ...]
    ascii: bool
    headers: tuple[tuple[str, str | None], ...]
    more: tuple[tuple[str, str], ...]
    query: str
    cut: tuple[int, bytes] | None


class Request(NamedTuple):
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


def mostly(often: SearchStrategy[Any], seldom: SearchStrategy[Any], share: int = 8) -> SearchStrategy[Any]:
    """``seldom`` once in ``share`` draws."""
    return st.integers(1, share).flatmap(lambda number: seldom if number == share else often)


def schema_of(method: str, path: str) -> str | None:
    """The name of the body's schema; that of a line for a batch."""
    content = DOCUMENT["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
    for media_type in content.values():
        found: str = media_type["schema"].get("$ref", BATCH_LINE)
        return found.rpartition("/")[2]
    return None


@st.composite
def lines(draw: st.DrawFn, message: dict[str, Any]) -> Line:
    fit = draw(mostly(st.just(message), nearly(message), 4))
    yes = mostly(st.just(True), st.just(False))
    return Line(fit, draw(yes), draw(yes), draw(st.integers(0, 60_000)), draw(yes))


@st.composite
def bodies(draw: st.DrawFn, method: str, path: str) -> tuple[tuple[str, Line], ...]:
    name = schema_of(method, path)
    if name is None:
        return ()
    if name != BATCH_LINE:
        return (("", draw(lines(draw(of_component(name))))),)
    drawn = draw(st.lists(of_component(name), min_size=0, max_size=3))
    return tuple((line["type"], draw(lines(line["message"]))) for line in drawn)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """All requests, of all operations and of none."""
    method, path = draw(mostly(st.sampled_from(SIGNED), st.sampled_from(OPERATIONS)))
    body = draw(bodies(method, path))
    changes = st.lists(st.tuples(st.sampled_from(HEADERS), st.one_of(st.none(), _HEADER_TEXTS)), min_size=1, max_size=3)
    pieces = st.sampled_from([b"", b'"', b"}", b"\xff", b"\\", b"\n", b'{"client_id":1,', b"\0", b" " * 300_000])
    return Plan(
        draw(mostly(st.just(method), st.sampled_from(["GET", "PUT", "HEAD", "OPTIONS", "TRACE"]), 24)),
        draw(mostly(st.just(path), st.sampled_from([path + "/", "/", "//", "/api/v1/clients", path.upper()]), 24)),
        body,
        draw(st.booleans()),
        draw(mostly(st.just(()), changes.map(tuple), 4)),
        draw(mostly(st.just(()), st.lists(st.tuples(st.sampled_from(HEADERS), _HEADER_TEXTS), max_size=2).map(tuple), 16)),
        draw(mostly(st.just(""), st.sampled_from(["?", "?a=b", "?x=%ff&x", "?" + "y" * 500]))),
        draw(mostly(st.none(), st.tuples(st.integers(0, 400), pieces))),
    )


class Caller:
    """A client with a key, an API key and a certificate request, which makes requests of plans."""

    def __init__(self, client_id: str, seed: bytes, keys: TokenKeys, csr: str, now_ms: int) -> None:
        self._id = client_id
        self._seed = seed
        self._csr = csr
        public_key = signing.public_key_of(seed)
        self._pem = signing.public_key_to_pem(public_key)
        self._key_id = signing.key_id(public_key)
        self.api_key = keys.issue(client_id, public_key, 1, now_ms // 1000 + 86_400, issued_s=now_ms // 1000)

    def request(self, plan: Plan, now_ms: int) -> Request:
        """The request, signed where its plan says so."""
        headers = {"Authorization": f"Bearer {self.api_key}", "X-Client-ID": self._id, "X-Timestamp": str(now_ms)}
        body, signature = self._body(plan, now_ms)
        if body is None:
            signed = signing.get_request_bytes(plan.path + plan.query, self._id, str(now_ms))
            signature = signing.encode_signature(signing.sign(signed, self._seed))
        else:
            headers["Content-Type"] = "application/x-ndjson" if plan.path.endswith("/batch") else "application/json"
        headers["X-Signature"] = signature
        if plan.path.endswith("/register"):
            headers = {"Content-Type": "application/json"}
        sent = {**headers, **dict(plan.headers)}
        listed = [*sent.items(), *plan.more]
        encoded = [(name.encode(), text.encode("latin-1")) for name, text in listed if text is not None]
        return Request(plan.method, plan.path + plan.query, encoded, _cut(body or b"", plan.cut))

    def _body(self, plan: Plan, now_ms: int) -> tuple[bytes | None, str]:
        if plan.path.endswith("/batch"):
            made = [self._written(line, plan, now_ms)[0] for _, line in plan.lines]
            heads = [b'{"type":' + json.dumps(name).encode() + b',"message":' for name, _ in plan.lines]
            return b"\n".join(head + message + b"}" for head, message in zip(heads, made, strict=True)), ""
        return self._written(plan.lines[0][1], plan, now_ms) if plan.lines else (None, "")

    def _written(self, line: Line, plan: Plan, now_ms: int) -> tuple[bytes, str]:
        message = dict(line.message)
        if line.now:
            message |= {name: now_ms - line.age_ms for name in _TIMES if isinstance(message.get(name), int)}
        if line.own:
            message |= self._own(message, plan)
        if not line.signed or message.get("signature") is None:
            text = str(message.get("signature"))
            return _json(message, plan.ascii), text if text.isascii() and text.isalnum() else "unfit"
        signature = signing.encode_signature(signing.sign(_json({**message, "signature": ""}, plan.ascii), self._seed))
        return _json({**message, "signature": signature}, plan.ascii), signature

    def _own(self, message: dict[str, Any], plan: Plan) -> dict[str, Any]:
        own: dict[str, Any] = {"client_id": self._id, "public_key": self._pem, "csr": self._csr}
        if "proof" in message and isinstance(message.get("timestamp"), int):
            proved = signing.rotation_proof_bytes(
                self._id, self._key_id, signing.public_key_of(self._seed), message["timestamp"]
            )
            own["proof"] = signing.encode_signature(signing.sign(proved, self._seed))
        return {name: value for name, value in own.items() if name in message}


def _json(message: dict[str, Any], ascii_only: bool) -> bytes:
    text = json.dumps(message, ensure_ascii=ascii_only, separators=(",", ":") if ascii_only else (" , ", " : "))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate can only be written as an escape
        return json.dumps(message).encode()


def _cut(body: bytes, cut: tuple[int, bytes] | None) -> bytes:
    if cut is None:
        return body
    at, piece = cut
    return body[:at] + piece + body[at + 1 :]
