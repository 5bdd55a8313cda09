"""Each fault gets its own problem, leaves nothing on the topics but a counted rejection, and the edge serves on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import httpx2
import pytest

from infra.key_files import KeyFiles
from ingest.tokens import TokenKeys
from schemas import codec, signing
from tests.deadline import eventually
from tests.rust_client import BASE, RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY_MS = 86_400_000


class Sent(NamedTuple):
    body: bytes
    headers: dict[str, str]


def valid(client: RustClient) -> Sent:
    body, signature = samples.sign_as_rust(samples.event(now_ms(), client.client_id), client.seed)
    return Sent(body, client.headers(signature))


def signed(client: RustClient, change: Callable[[dict[str, Any]], Any]) -> Sent:
    """A message that was changed before it was signed: the signature is right, the message is not."""
    message = samples.event(now_ms(), client.client_id)
    change(message)
    body, signature = samples.sign_as_rust(message, client.seed)
    return Sent(body, client.headers(signature))


def body_is(make: Callable[[bytes], bytes]) -> Callable[[RustClient], Sent]:
    return lambda client: valid(client)._replace(body=make(valid(client).body))


def without(header: str) -> Callable[[RustClient], Sent]:
    return lambda client: valid(client)._replace(headers={k: v for k, v in valid(client).headers.items() if k != header})


def with_header(header: str, value: str) -> Callable[[RustClient], Sent]:
    return lambda client: valid(client)._replace(headers={**valid(client).headers, header: value})


def wrong_key(client: RustClient) -> Sent:
    body, signature = samples.sign_as_rust(samples.event(now_ms(), client.client_id), b"w" * 32)
    return Sent(body, client.headers(signature))


def changed_byte(client: RustClient) -> Sent:
    sent = valid(client)
    return sent._replace(body=sent.body.replace(b"AUTH_001", b"AUTH_002"))


def unknown_client(client: RustClient) -> Sent:
    body, signature = samples.sign_as_rust(samples.event(now_ms(), "nobody"), client.seed)
    headers = {**client.headers(signature), "X-Client-ID": "nobody", "Authorization": "Bearer v4.local.AAAA"}
    return Sent(body, headers)


def anothers_message(client: RustClient) -> Sent:
    return signed(client, lambda message: message.update(client_id="somebody-else"))


def expired_key(client: RustClient) -> Sent:
    keys: TokenKeys = client.keys  # type: ignore[attr-defined]
    api_key = keys.issue(client.client_id, signing.public_key_of(client.seed), 1, now_ms() // 1000 - 1)
    return with_header("Authorization", f"Bearer {api_key}")(client)


FAULTS: dict[str, tuple[Callable[[RustClient], Sent], int, str, str]] = {
    "a changed byte": (changed_byte, 401, "bad-signature", "signature"),
    "a wrong key": (wrong_key, 401, "bad-signature", "signature"),
    "an unknown client": (unknown_client, 401, "invalid-api-key", "Authorization"),
    "an expired API key": (expired_key, 401, "invalid-api-key", "Authorization"),
    "no Authorization": (without("Authorization"), 401, "missing-api-key", "Authorization"),
    "not Bearer": (with_header("Authorization", "Basic eDp5"), 401, "missing-api-key", "Authorization"),
    "no X-Client-ID": (without("X-Client-ID"), 400, "missing-header", "X-Client-ID"),
    "no X-Signature": (without("X-Signature"), 400, "missing-header", "X-Signature"),
    "another X-Signature": (with_header("X-Signature", "A" * 128), 401, "bad-signature", "X-Signature"),
    "another X-Client-ID": (with_header("X-Client-ID", "somebody"), 403, "identity-mismatch", "X-Client-ID"),
    "another client's message": (anothers_message, 403, "identity-mismatch", "client_id"),
    "no Content-Type": (without("Content-Type"), 415, "unsupported-media-type", "Content-Type"),
    "another Content-Type": (with_header("Content-Type", "text/plain"), 415, "unsupported-media-type", "Content-Type"),
    "compressed": (with_header("Content-Encoding", "gzip"), 415, "unsupported-media-type", "Content-Encoding"),
    "not JSON": (body_is(lambda _: b"client_id=1"), 400, "malformed-json", ""),
    "empty": (body_is(lambda _: b""), 400, "malformed-json", ""),
    "not UTF-8": (body_is(lambda body: body.replace(b"AUTH", b"\xff\xfe")), 400, "malformed-json", ""),
    "a duplicate key": (body_is(lambda b: b.replace(b"{", b'{"client_id":"x",', 1)), 400, "duplicate-key", ""),
    "a 2 MB body": (body_is(lambda _: b" " * 2_000_000), 413, "body-too-large", ""),
    "a number for a string": (lambda c: signed(c, lambda m: m.update(event_id=7)), 422, "invalid-message", "event_id"),
    "NaN": (body_is(lambda b: b.replace(b'"medium"', b"NaN")), 400, "malformed-json", ""),
    "nesting 10,000 deep": (
        body_is(lambda b: b[:-1] + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
        400,
        "malformed-json",
        "",
    ),
    "a missing member": (lambda c: signed(c, lambda m: m.pop("severity")), 422, "invalid-message", "severity"),
    "an unknown severity": (lambda c: signed(c, lambda m: m.update(severity="huge")), 422, "invalid-message", "severity"),
    "encrypted is false": (
        lambda c: signed(c, lambda m: m["details"].update(encrypted=False)),
        422,
        "invalid-message",
        "details.encrypted",
    ),
    "too old": (
        lambda c: signed(c, lambda m: m.update(timestamp=now_ms() - 8 * DAY_MS)),
        422,
        "stale-timestamp",
        "timestamp",
    ),
    "from the future": (
        lambda c: signed(c, lambda m: m.update(timestamp=now_ms() + 400_000)),
        422,
        "stale-timestamp",
        "timestamp",
    ),
    "a signature of other letters": (
        body_is(lambda b: b[:-3] + b'!"}'),
        401,
        "bad-signature",
        "X-Signature",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_gets_its_problem_and_nothing_else_happens(
    fault: str, probe: TopicProbe, client: RustClient, key_files: KeyFiles
) -> None:
    make, status, slug, member = FAULTS[fault]
    client.keys = TokenKeys.from_file(key_files.token_keys)  # type: ignore[attr-defined]
    await probe.mark()
    answer = await client.send("events", *make(client))
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:viworks:problem:{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.get("member", "") == member
    assert "Failed login attempt" not in answer.text
    rejection = await eventually(lambda: only_rejection(probe, client), 5, "the rejection is counted")
    assert (rejection["reason"], rejection["status"], rejection["count"]) == (slug, status, 1)
    assert (await client.post("events", samples.event(now_ms(), client.client_id))).status_code == 202


async def only_rejection(probe: TopicProbe, client: RustClient) -> dict[str, Any]:
    """The one new record, which must be a rejection; empty while there is none. Counts of earlier tests are left out."""
    found = [codec.decode(record.value) for record in await probe.raw()]
    found = [item for item in found if item[1].get("origin") != "edge"]  # its own events: see test_tamper_signals
    names = {client.client_id, "nobody", "somebody", ""}
    mine = [
        item
        for item in found
        if item[0] != "rejection" or (item[1]["endpoint"], item[1]["client_id"] in names) == ("events", True)
    ]
    assert [name for name, _ in mine] in ([], ["rejection"])
    return mine[0][1] if mine else {}


async def test_many_of_one_fault_are_one_counted_record(probe: TopicProbe, client: RustClient) -> None:
    await probe.mark()
    for _ in range(50):
        await client.send("events", *wrong_key(client))

    async def counted() -> bool:
        return sum(int(str(r["count"])) for r in await probe.records("rejection", client.client_id)) == 50

    await eventually(counted, 5, "50 rejections")
    assert len(await probe.records("rejection", client.client_id)) < 10


async def test_a_small_order_key_cannot_register(http: httpx2.AsyncClient) -> None:
    message = samples.registration(now_ms(), "t-small-order")
    message["public_key"] = message["public_key"].replace(
        message["public_key"].splitlines()[1], "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    )
    body, _ = samples.sign_as_rust(message)
    answer = await http.post(BASE + "register", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["member"]) == (422, "public_key")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "events", 405), ("POST", "config", 405), ("GET", "x", 404)])
async def test_other_paths_and_methods_are_problems_too(
    http: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, BASE + path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
