"""Keys and certificates of registered clients: rotation, renewal, revocation, on every edge and over restarts."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from infra.administration import carried_out
from infra.key_files import rotate_token_keys
from schemas import signing
from schemas.certificates import client_uri
from schemas.commands import EVERYBODY
from tests.deadline import eventually, promised
from tests.identity.conftest import OVERLAP_S, Site, edge, gather
from tests.identity.test_registration import Edges, problem
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe

pytestmark = pytest.mark.asyncio(loop_scope="session")

WITHIN_S = 5.0
NEW_SEED = b"s" * 32


async def registered(http: httpx2.AsyncClient, client_id: str) -> RustClient:
    client = RustClient(http, client_id)
    answer = await client.register()
    assert answer.status_code == 201, answer.text
    return client


async def beat(client: RustClient, http: httpx2.AsyncClient) -> tuple[int, str]:
    body, signature = samples.sign_as_rust(samples.heartbeat(now_ms(), client.client_id), client.seed)
    headers = client.headers(signature)
    return problem(await http.post("/api/v1/clients/heartbeat", content=body, headers=headers))


async def refused_everywhere(client: RustClient, edges: Edges) -> float:
    """How long it took until every edge refused the client's API key, in seconds."""
    started = time.monotonic()

    async def refused() -> bool:
        answers = await gather(*(beat(client, http) for http in edges))
        return set(answers) == {(401, "invalid-api-key")}

    await promised(refused, WITHIN_S, "every edge refuses the API key")
    return time.monotonic() - started


def rotation(client: RustClient, new_seed: bytes, **changes: Any) -> dict[str, Any]:
    timestamp = changes.pop("timestamp", now_ms())
    new_key = signing.public_key_of(new_seed)
    old_id = signing.key_id(signing.public_key_of(client.seed))
    proof = signing.sign(signing.rotation_proof_bytes(client.client_id, old_id, new_key, timestamp), new_seed)
    message = {
        "client_id": client.client_id,
        "public_key": signing.public_key_to_pem(new_key),
        "proof": signing.encode_signature(proof),
        "timestamp": timestamp,
    }
    return message | changes


def csr(key: ec.EllipticCurvePrivateKey, name: str = "anything") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


def unsigned_csr() -> str:
    """A request for another name than the one that its key has signed."""
    whole = x509.load_pem_x509_csr(csr(ec.generate_private_key(ec.SECP256R1()), "somebody").encode())
    changed = whole.public_bytes(Encoding.DER).replace(b"somebody", b"everbody")
    return x509.load_der_x509_csr(changed).public_bytes(Encoding.PEM).decode()


async def test_a_rotated_key_takes_over_and_the_old_one_ends_after_the_overlap(edges: Edges, site_probe: TopicProbe) -> None:
    await site_probe.mark()
    old = await registered(edges[0], "rotating")
    answer = await old.post("keys", rotation(old, NEW_SEED))
    assert answer.status_code == 200, answer.text
    new = RustClient(edges[0], "rotating")
    new.seed, new.api_key = NEW_SEED, answer.json()["api_key"]
    assert answer.json()["key_id"] == signing.key_id(signing.public_key_of(NEW_SEED))
    assert await beat(new, edges[0]) == await beat(new, edges[1]) == (202, "")
    assert await beat(old, edges[0]) == await beat(old, edges[1]) == (202, "")
    assert problem(await old.register()) == (409, "identity-conflict")
    assert problem(await old.post("keys", rotation(old, b"u" * 32))) == (409, "key-superseded")
    assert await refused_everywhere(old, edges) <= OVERLAP_S + 1
    assert await beat(new, edges[1]) == (202, "")
    keys = await site_probe.records("client_key", "rotating")
    assert [(key["key_epoch"], key["origin"]) for key in keys] == [(1, "registration"), (2, "rotation")]
    assert [key["public_key"] for key in keys] == [signing.public_key_of(old.seed), signing.public_key_of(NEW_SEED)]


async def test_a_rotation_whose_answer_was_lost_is_asked_for_again(edges: Edges, site_probe: TopicProbe) -> None:
    await site_probe.mark()
    old = await registered(edges[0], "rotating-again")
    first = (await old.post("keys", rotation(old, NEW_SEED))).json()
    answer = await old.post("keys", rotation(old, NEW_SEED))
    assert answer.status_code == 200, answer.text
    assert answer.json()["old_key_until"] == first["old_key_until"]
    new = RustClient(edges[1], "rotating-again")
    new.seed, new.api_key = NEW_SEED, answer.json()["api_key"]
    assert await beat(new, edges[1]) == (202, "")
    assert problem(await new.post("keys", rotation(new, NEW_SEED))) == (409, "key-superseded")
    assert len(await site_probe.records("client_key", "rotating-again")) == 2


async def test_a_second_rotation_ends_the_key_before_the_last_at_once(edges: Edges) -> None:
    first = await registered(edges[0], "rotating-twice")
    second = RustClient(edges[0], "rotating-twice")
    second.seed = NEW_SEED
    second.api_key = (await first.post("keys", rotation(first, NEW_SEED))).json()["api_key"]
    answer = await second.post("keys", rotation(second, b"v" * 32))
    assert answer.status_code == 200, answer.text
    await refused_everywhere(first, edges)


async def test_a_rotation_needs_both_keys(edges: Edges) -> None:
    client = await registered(edges[0], "half-rotating")
    foreign = rotation(client, NEW_SEED) | {"public_key": signing.public_key_to_pem(signing.public_key_of(b"f" * 32))}
    assert problem(await client.post("keys", foreign)) == (401, "bad-signature")
    elsewhere = RustClient(edges[0], "somebody-else")
    moved = rotation(elsewhere, NEW_SEED) | {"client_id": "half-rotating"}
    assert problem(await client.post("keys", moved)) == (401, "bad-signature")
    assert problem(await client.post("keys", rotation(client, NEW_SEED, proof="A" * 10))) == (400, "malformed-signature")
    assert problem(await client.post("keys", rotation(client, client.seed))) == (409, "key-superseded")
    stale = rotation(client, NEW_SEED, timestamp=now_ms() - 600_000)
    assert problem(await client.post("keys", stale)) == (422, "stale-timestamp")
    assert await beat(client, edges[0]) == (202, "")


async def test_a_certificate_names_its_client_whatever_the_request_says(site: Site, edges: Edges) -> None:
    client = await registered(edges[0], "certified")
    key = ec.generate_private_key(ec.SECP256R1())
    message = {"client_id": "certified", "csr": csr(key, "administrator"), "timestamp": now_ms()}
    answer = await client.post("certificates", message)
    assert answer.status_code == 200, answer.text
    certificate = x509.load_pem_x509_certificate(answer.json()["certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(site.pki.ca_cert.read_bytes()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [client_uri("certified")]
    assert certificate.subject.rfc4514_string() == "CN=certified"
    assert certificate.public_key() == key.public_key()
    bound = RustClient(edges[0], "certified")
    bound.api_key = answer.json()["api_key"]
    assert await beat(bound, edges[0]) == (401, "invalid-api-key")  # the plain listener has no certificate to show
    assert problem(await client.post("certificates", message)) == (409, "request-replayed")


@pytest.mark.parametrize(
    "request_text",
    [
        "nonsense",
        unsigned_csr(),
        csr(ec.generate_private_key(ec.SECP521R1())),
    ],
    ids=["no PEM", "broken", "another curve"],
)
async def test_a_request_that_no_authority_should_sign_is_refused(edges: Edges, request_text: str) -> None:
    client = await registered(edges[0], "uncertified")
    message = {"client_id": "uncertified", "csr": request_text, "timestamp": now_ms()}
    answer = await client.post("certificates", message)
    assert (problem(answer), answer.json().get("member")) == ((422, "bad-certificate-request"), "csr")


async def test_a_revoked_client_is_out_within_seconds_and_after_a_restart(site: Site, edges: Edges) -> None:
    client = await registered(edges[0], "stolen")
    key = ec.generate_private_key(ec.SECP256R1())
    answer = await client.post("certificates", {"client_id": "stolen", "csr": csr(key), "timestamp": now_ms()})
    serial = x509.load_pem_x509_certificate(answer.json()["certificate"].encode()).serial_number
    carried_out(await site.order("stolen", "client.revoke", reason="lost laptop"))
    await refused_everywhere(client, edges)
    assert problem(await client.register()) == (403, "client-revoked")
    async with edge(site.settings()) as restarted:
        assert await beat(client, restarted) == (401, "invalid-api-key")

    def listed() -> bool:
        entries = x509.load_pem_x509_crl(site.pki.revocation_list.read_bytes())
        return entries.get_revoked_certificate_by_serial_number(serial) is not None

    await promised(listed, WITHIN_S, "the certificate is on the list")
    carried_out(await site.order("stolen", "client.reinstate"))
    assert (await client.register()).status_code == 201
    assert await beat(client, edges[1]) == (202, "")


async def test_api_keys_of_one_client_and_of_all_end_and_clients_get_new_ones(site: Site, edges: Edges) -> None:
    one, other = await gather(registered(edges[0], "one"), registered(edges[1], "other"))
    carried_out(await site.order("one", "client.revoke_keys"))
    await refused_everywhere(one, edges)
    assert await beat(other, edges[0]) == (202, "")
    assert (await one.register()).status_code == 201
    assert await beat(one, edges[1]) == (202, "")
    carried_out(await site.order(EVERYBODY, "client.revoke_keys", issued_before=now_ms() + 1_000))
    await gather(refused_everywhere(one, edges), refused_everywhere(other, edges))
    await eventually(lambda: _again(other, edges), 10, "registered anew")


async def _again(client: RustClient, edges: Edges) -> bool:
    assert (await client.register()).status_code == 201
    return await beat(client, edges[0]) == (202, "")


async def test_rotating_the_servers_key_logs_nobody_out(site: Site, edges: Edges) -> None:
    before = await registered(edges[0], "before-the-rotation")
    kid = rotate_token_keys(site.keys.token_keys.parent.parent, now_ms(), 0.0)

    async def made_by_the_new_key() -> bool:
        client = await registered(edges[1], "after-the-rotation")
        footer = client.api_key.rpartition(".")[2]
        return kid in signing_footer(footer) and await beat(client, edges[0]) == (202, "")

    await eventually(made_by_the_new_key, 10, "the new key makes API keys that every edge takes")
    assert await beat(before, edges[0]) == await beat(before, edges[1]) == (202, "")


def signing_footer(text: str) -> str:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
