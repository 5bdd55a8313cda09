"""Who gets a client id: once, by one of the ways that the mode allows, and never by another key."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from infra.administration import carried_out
from ingest.settings import EnrolmentMode
from schemas import enrolment_tokens, signing
from schemas.enrolment_tokens import EnrolmentToken
from tests.deadline import eventually
from tests.identity.conftest import Site, edge, gather
from tests.rust_client import BASE, RustClient, now_ms
from tests.schemas import messages_samples as samples

pytestmark = pytest.mark.asyncio(loop_scope="session")

Edges = tuple[httpx2.AsyncClient, httpx2.AsyncClient]
REPLAYS, AT_ONCE = 1_000, 50
HOUR_MS = 3_600_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_mode(site: Site) -> AsyncIterator[dict[EnrolmentMode, httpx2.AsyncClient]]:
    async with (
        edge(site.settings(enrolment_mode=EnrolmentMode.OPEN)) as opened,
        edge(site.settings(enrolment_mode=EnrolmentMode.TOKEN)) as token,
        edge(site.settings(enrolment_mode=EnrolmentMode.CERTIFICATE)) as certificate,
        edge(site.settings(enrolment_mode=EnrolmentMode.APPROVE)) as approve,
    ):
        modes = (EnrolmentMode.OPEN, EnrolmentMode.TOKEN, EnrolmentMode.CERTIFICATE, EnrolmentMode.APPROVE)
        yield dict(zip(modes, (opened, token, certificate, approve), strict=True))


async def make_token(
    site: Site, uses: int = 1, expires_ms: int | None = None, labels: tuple[str, ...] = ()
) -> EnrolmentToken:
    token = enrolment_tokens.make()
    body = {
        "secret_hash": token.secret_hash.hex(),
        "uses": uses,
        "expires_at": expires_ms or now_ms() + HOUR_MS,
        "labels": list(labels),
    }
    carried_out(await site.order(token.token_id, "enrolment.create", **body))
    return token


async def register(http: httpx2.AsyncClient, client_id: str, token: str | None = None, seed: bytes = b"") -> httpx2.Response:
    client = RustClient(http, client_id)
    seed = seed or client.seed
    body, _ = samples.sign_as_rust(samples.registration(now_ms(), client_id, seed), seed)
    headers = {"Content-Type": "application/json"} | ({"X-Enrolment-Token": token} if token else {})
    return await http.post(BASE + "register", content=body, headers=headers)


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("type", "").rpartition(":")[2]


async def test_a_thousand_replays_of_one_registration_get_one_api_key(edges: Edges) -> None:
    body, _ = samples.sign_as_rust(samples.registration(now_ms(), "replayed"))
    headers = {"Content-Type": "application/json"}
    answers: Counter[tuple[int, str]] = Counter()
    # All at once they would wait for one another, some of them for longer than an edge waits for a verdict.
    for first in range(0, REPLAYS, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        sent = [edges[number % 2].post(BASE + "register", content=body, headers=headers) for number in numbers]
        answers.update(problem(answer) for answer in await gather(*sent))
    assert answers == {(201, ""): 1, (409, "registration-replayed"): REPLAYS - 1}


MODES: dict[tuple[EnrolmentMode, str], tuple[int, str]] = {
    (EnrolmentMode.OPEN, "nothing"): (201, ""),
    (EnrolmentMode.OPEN, "token"): (201, ""),
    (EnrolmentMode.OPEN, "foreign token"): (403, "enrolment-token-refused"),
    (EnrolmentMode.TOKEN, "nothing"): (403, "enrolment-required"),
    (EnrolmentMode.TOKEN, "token"): (201, ""),
    (EnrolmentMode.TOKEN, "foreign token"): (403, "enrolment-token-refused"),
    (EnrolmentMode.TOKEN, "expired token"): (403, "enrolment-token-refused"),
    (EnrolmentMode.TOKEN, "revoked token"): (403, "enrolment-token-refused"),
    (EnrolmentMode.TOKEN, "garbage"): (403, "enrolment-token-refused"),
    (EnrolmentMode.CERTIFICATE, "nothing"): (403, "enrolment-required"),
    (EnrolmentMode.CERTIFICATE, "token"): (201, ""),
    (EnrolmentMode.APPROVE, "nothing"): (202, ""),
    (EnrolmentMode.APPROVE, "token"): (201, ""),
    (EnrolmentMode.APPROVE, "foreign token"): (403, "enrolment-token-refused"),
}


async def presented(site: Site, what: str) -> str | None:
    if what == "nothing":
        return None
    if what == "garbage":
        return "vwe1-nonsense"
    if what == "foreign token":
        return enrolment_tokens.make().text
    if what == "expired token":
        expires_ms = now_ms() + 500
        token = await make_token(site, expires_ms=expires_ms)
        await eventually(lambda: now_ms() > expires_ms, 5, "the token has expired")
        return token.text
    token = await make_token(site)
    if what == "revoked token":
        carried_out(await site.order(token.token_id, "enrolment.revoke"))
    return token.text


@pytest.mark.parametrize(("mode", "what"), MODES, ids=str)
async def test_a_mode_lets_in_whom_it_names(
    site: Site, by_mode: dict[EnrolmentMode, httpx2.AsyncClient], mode: EnrolmentMode, what: str
) -> None:
    token = await presented(site, what)
    answer = await register(by_mode[mode], f"mode-{mode}-{what.replace(' ', '-')}", token)
    assert problem(answer) == MODES[mode, what]
    assert "vwe1" not in answer.text
    if answer.status_code == 202:
        assert answer.json()["status"] == "pending"
        assert answer.headers["retry-after"] == "30"


async def test_a_known_client_registers_again_without_leave(
    site: Site, by_mode: dict[EnrolmentMode, httpx2.AsyncClient]
) -> None:
    token = await make_token(site)
    assert (await register(by_mode[EnrolmentMode.TOKEN], "again", token.text)).status_code == 201
    assert (await register(by_mode[EnrolmentMode.TOKEN], "again")).status_code == 201
    assert (await register(by_mode[EnrolmentMode.CERTIFICATE], "again")).status_code == 201
    assert problem(await register(by_mode[EnrolmentMode.OPEN], "again", seed=b"x" * 32)) == (409, "identity-conflict")


async def test_a_token_serves_as_many_clients_as_it_says_however_they_hurry(site: Site, edges: Edges) -> None:
    token = await make_token(site, uses=3)
    sent = [register(edges[number % 2], f"crowd-{number}", token.text) for number in range(30)]
    answers = Counter(problem(answer) for answer in await gather(*sent))
    assert answers == {(201, ""): 3, (403, "enrolment-token-refused"): 27}


async def test_a_token_for_any_number_counts_nobody(site: Site, edges: Edges) -> None:
    token = await make_token(site, uses=0)
    answers = await gather(*(register(edges[0], f"unlimited-{number}", token.text) for number in range(20)))
    assert {answer.status_code for answer in answers} == {201}


async def test_whoever_waits_is_let_in_by_an_administrator(
    site: Site, by_mode: dict[EnrolmentMode, httpx2.AsyncClient]
) -> None:
    http = by_mode[EnrolmentMode.APPROVE]
    assert (await register(http, "waiting")).status_code == 202
    assert (await register(http, "waiting")).status_code == 202
    key_id = signing.key_id(signing.public_key_of(RustClient(http, "waiting").seed))
    refused = await site.order("waiting", "client.approve", key_id="0" * 16)
    assert (refused["outcome"], "another key" in refused["details"]["reason"]) == ("refused", True)
    carried_out(await site.order("waiting", "client.approve", key_id=key_id))
    assert (await register(http, "waiting")).status_code == 201


async def test_an_administrator_lets_another_key_take_over(site: Site, edges: Edges) -> None:
    before = RustClient(edges[0], "set-up-anew")
    assert (await before.register()).status_code == 201
    after = RustClient(edges[1], "set-up-anew")
    after.seed = b"n" * 32
    assert problem(await after.register()) == (409, "identity-conflict")
    key_id = signing.key_id(signing.public_key_of(after.seed))
    carried_out(await site.order("set-up-anew", "client.allow_key", key_id=key_id))
    assert (await after.register()).status_code == 201
    assert problem(await before.register()) == (409, "identity-conflict")
