"""Requests that carry canaries: accepted ones of every kind, and refused ones of every fault."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2

from schemas.messages import MAX_BODY_BYTES, ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from schemas.privacy import ADDRESSES, SENSITIVE
from tests.end_to_end.canaries import Canaries, put
from tests.rust_client import BASE, RustClient, now_ms
from tests.schemas import messages_samples as samples

DAY_MS = 86_400_000
RESOURCES: dict[type, str] = {
    ClientRegistration: "register",
    Heartbeat: "heartbeat",
    SessionReport: "sessions",
    SecurityEvent: "events",
}


def message_of(kind: type, client: RustClient, number: int) -> dict[str, Any]:
    """A valid message with the specification's own values."""
    now = now_ms()
    if kind is ClientRegistration:
        return samples.registration(now, client.client_id, client.seed)
    if kind is Heartbeat:
        return samples.heartbeat(now, client.client_id)
    if kind is SessionReport:
        return samples.session(now, client.client_id, f"session-{number}")
    return {**samples.event(now, client.client_id, f"event-{number}"), "severity": "critical"}  # so each raises an alert


@dataclasses.dataclass
class Sender:
    """Sends as one client; keeps every answer as bytes, and every signature that was sent, in lower case."""

    client: RustClient
    answers: list[tuple[str, bytes]] = dataclasses.field(default_factory=list)
    signatures: set[bytes] = dataclasses.field(default_factory=set)
    refused: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        self.client.api_key = "none"  # until there is one; an empty one is no header

    def message(self, kind: type) -> dict[str, Any]:
        self.number += 1
        return message_of(kind, self.client, self.number)

    async def send(self, kind: type, message: dict[str, Any]) -> httpx2.Response:
        body, signature = samples.sign_as_rust(message, self.client.seed)
        return await self.raw(RESOURCES[kind], body, self.client.headers(signature))

    async def raw(self, resource: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
        self.signatures.add(headers["X-Signature"].lower().encode())
        return self.keep(await self.client.http.post(BASE + resource, content=body, headers=headers))

    def keep(self, answer: httpx2.Response) -> httpx2.Response:
        shown = b"".join(name + b": " + value + b"\n" for name, value in answer.headers.raw)
        self.answers.append((f"answer {len(self.answers)} {answer.request.url.path}", shown + answer.content))
        return answer


Fill = Callable[[type, dict[str, Any], str], dict[str, Any]]
"""Plants canaries in a message of a kind, named by where."""


async def accepted(sender: Sender, fill: Fill, controls: Canaries) -> None:
    """One message of every kind with canaries in all sensitive members, and enough events for an alert."""
    for kind in (ClientRegistration, Heartbeat, SessionReport, *[SecurityEvent] * 6):
        message = fill(kind, sender.message(kind), f"{kind.__name__} {sender.number}")
        if kind is SessionReport:
            put(message, "metadata.user_agent", controls.text(f"{sender.number} user_agent"))
        if kind is SecurityEvent:
            put(message, "details.error_code", controls.text(f"{sender.number} error_code"))
        answer = await sender.send(kind, message)
        assert answer.status_code in (201, 202), answer.text
        sender.client.api_key = answer.json().get("api_key", sender.client.api_key)


async def refused(sender: Sender, canaries: Canaries) -> None:
    """Every fault that a request can have, with canaries in all members and in what is at fault itself."""
    for kind in (SecurityEvent, SessionReport, ClientRegistration):
        for fault, plant in _FAULTS:
            where = f"refused {kind.__name__}, {fault.__name__}"
            message = canaries.fill(kind, sender.message(kind), where)
            at_fault = plant(canaries, f"{where}: at fault")
            await _refuse(sender, RESOURCES[kind], *fault(sender.client, kind, message, at_fault))
    for kind in (SecurityEvent, SessionReport, ClientRegistration, Heartbeat):
        for member in (*SENSITIVE.get(kind, ()), *ADDRESSES.get(kind, ())):
            for shape in (
                lambda text: [text],
                lambda text: {text: text},
                lambda text: text * 4000,
                lambda text: {"a": {text: 1}},
            ):
                message = sender.message(kind)
                put(message, member, shape(canaries.text(f"{member} {sender.number} of a wrong shape")))
                body, signature = samples.sign_as_rust(message, sender.client.seed)
                await _refuse(sender, RESOURCES[kind], body, sender.client.headers(signature))
    await _refused_gets(sender, canaries)
    await _no_http(sender, canaries)


async def _refuse(sender: Sender, resource: str, body: Any, headers: dict[str, str]) -> None:
    sender.refused += 1
    try:
        answer = await sender.raw(resource, body, headers)
    except httpx2.NetworkError:
        # The edge closes on a body that is too large; bytes that are still under way can then undo its answer.
        assert not isinstance(body, bytes) or len(body) > MAX_BODY_BYTES
        return
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)


async def _refused_gets(sender: Sender, canaries: Canaries) -> None:
    """Also a path and a method that do not exist; those no client is counted for."""
    for name in ("X-Timestamp", "X-Signature", "Authorization"):
        headers = {**sender.client.headers("A" * 128), name: canaries.text(f"GET {name}")}
        query = {"description": canaries.text(f"GET {name}, its query")}
        answer = sender.keep(await sender.client.http.get(BASE + "config", params=query, headers=headers))
        assert 400 <= answer.status_code < 500
        sender.refused += 1
    for method, path in (("GET", canaries.text("a path")), ("POST", "register/" + canaries.address("a path's end"))):
        answer = sender.keep(
            await sender.client.http.request(method, BASE + path, content=canaries.text(f"{path}, its body"))
        )
        assert answer.status_code == 404


async def _no_http(sender: Sender, canaries: Canaries) -> None:
    url = sender.client.http.base_url
    for line in (
        "{}\r\n\r\n",
        "GET / {}\r\n\r\n",
        "GET / HTTP/1.1\r\n{}\r\n\r\n",
        "POST /{} HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(line.format(canaries.text(f"no HTTP: {line!r}")).encode())
        writer.write_eof()
        sender.answers.append((f"answer to {line!r}", await asyncio.wait_for(reader.read(), 10)))
        writer.close()
        await writer.wait_closed()


Fault = tuple[Any, dict[str, str]]
"""The body and the headers."""


def _signed(client: RustClient, message: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    body, signature = samples.sign_as_rust(message, client.seed)
    return body, client.headers(signature)


def _bad_signature(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    body, headers = _signed(client, message)
    return body[:-1] + f',"late":"{text}"}}'.encode(), headers


def _of_another_key(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    body, signature = samples.sign_as_rust({**message, "more": text}, b"w" * 32)
    return body, client.headers(signature)


def _stale(client: RustClient, kind: type, message: dict[str, Any], text: str) -> Fault:
    time = "start_time" if kind is SessionReport else "timestamp"
    return _signed(client, {**message, time: message[time] - 8 * DAY_MS, "more": text})


def _malformed(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    body, headers = _signed(client, {**message, "more": text})
    return body[:-2], headers


def _no_text(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    body, headers = _signed(client, {**message, "more": text})
    return body.replace(text.encode(), b"\xff\xfe" + text.encode()), headers


def _twice(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    body, headers = _signed(client, message)
    return body[:-1] + f',"{text}":1,"{text}":2}}'.encode(), headers


def _unknown_value(client: RustClient, kind: type, message: dict[str, Any], text: str) -> Fault:
    name = {SecurityEvent: "severity", SessionReport: "status", ClientRegistration: "public_key"}[kind]
    return _signed(client, {**message, name: text})


def _not_encrypted(client: RustClient, kind: type, message: dict[str, Any], text: str) -> Fault:
    group = {SecurityEvent: "details", SessionReport: "metadata", ClientRegistration: "device_info"}[kind]
    put(message, f"{group}.encrypted", text)
    return _signed(client, message)


def _too_large(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    return _signed(client, {**message, "more": text * 20_000})


def _too_large_in_chunks(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
    body, headers = _signed(client, {**message, "more": text * 20_000})

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 50_000):
            yield body[at : at + 50_000]

    return chunks(), headers


_FAULTS_OF_BODIES: tuple[Callable[..., Fault], ...] = (
    _bad_signature,
    _of_another_key,
    _stale,
    _malformed,
    _no_text,
    _twice,
    _unknown_value,
    _not_encrypted,
    _too_large,
    _too_large_in_chunks,
)


def _with(name: str, write: Callable[[str], str] = str) -> Callable[..., Fault]:
    """A message whose only fault is a header, or whose header is no fault beside a wrong signature."""

    def fault(client: RustClient, _: type, message: dict[str, Any], text: str) -> Fault:
        body, headers = _signed(client, message)
        return body[:-1] + b" }", {**headers, name: write(text)}

    fault.__name__ = f"{name} {write('x')}"
    return fault


_FAULTS_OF_HEADERS: tuple[Callable[..., Fault], ...] = (
    _with("Content-Type"),
    _with("Content-Type", lambda text: f"application/json; charset={text}"),
    _with("Content-Encoding"),
    _with("Authorization"),
    _with("Authorization", lambda text: f"Bearer {text}"),
    _with("Authorization", lambda text: f"Bearer v4.local.{text}"),
    _with("X-Signature"),
    _with("User-Agent"),
    _with("Referer"),
    _with("Cookie", lambda text: f"session={text}"),
    _with("X-Forwarded-Client-Cert", lambda text: f"Subject={text}"),
    _with("X-Request-ID"),
    _with("Traceparent"),
)
_FAULTS_OF_ADDRESSES: tuple[Callable[..., Fault], ...] = (
    _with("X-Forwarded-For"),
    _with("X-Real-IP"),
    _with("Forwarded", lambda text: f'for="[{text}]"'),
)
_FAULTS = [
    *((fault, Canaries.text) for fault in (*_FAULTS_OF_BODIES, *_FAULTS_OF_HEADERS)),
    *((fault, Canaries.address) for fault in _FAULTS_OF_ADDRESSES),
]
