"""Certificate, API key and client id must name one client: through the TLS listener, with certificates of the registry."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.administration import carried_out
from infra.pki import load_authority
from infra.ports import free_port
from ingest.settings import EnrolmentMode
from tests.deadline import eventually
from tests.identity.conftest import CONNECTIONS, Site
from tests.identity.test_credentials import csr
from tests.identity.test_registration import problem, register
from tests.ingest.conftest import serving
from tests.rust_client import BASE, RustClient, now_ms
from tests.schemas import messages_samples as samples

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Door:
    """The TLS listener of an edge in the mode ``certificate``, which takes connections without one too."""

    def __init__(self, site: Site, port: int, directory: Path) -> None:
        self.site = site
        self._url = f"https://localhost:{port}"
        self._directory = directory

    def certificate(self, client_id: str) -> Path:
        """A certificate that the authority issued beforehand, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        issued = load_authority(self.site.pki).issue_client(client_id, key.public_key(), now)
        return self.keep(client_id, issued.public_bytes(Encoding.PEM), key)

    def keep(self, name: str, certificate: bytes, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self._directory / f"{name}-{len(list(self._directory.iterdir()))}.pem"
        path.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path

    def connect(self, certificate: Path | None) -> httpx2.AsyncClient:
        context = ssl.create_default_context(cafile=str(self.site.pki.ca_cert))
        if certificate is not None:
            context.load_cert_chain(certificate)
        return httpx2.AsyncClient(base_url=self._url, verify=context, trust_env=False, limits=CONNECTIONS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def door(site: Site, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    pki, port = site.pki, free_port()
    settings = site.settings(
        enrolment_mode=EnrolmentMode.CERTIFICATE,
        edge_tls_host="127.0.0.1",
        edge_tls_port=port,
        tls_cert_file=pki.server_cert,
        tls_key_file=pki.server_key,
        tls_ca_file=pki.ca_cert,
        tls_crl_file=pki.revocation_list,
        tls_client_certificate="optional",
        tls_reload_interval_s=0.2,
    )
    async with serving(settings):
        yield Door(site, port, tmp_path_factory.mktemp("certificates"))


async def beat(http: httpx2.AsyncClient, client: RustClient) -> tuple[int, str]:
    body, signature = samples.sign_as_rust(samples.heartbeat(now_ms(), client.client_id), client.seed)
    return problem(await http.post(BASE + "heartbeat", content=body, headers=client.headers(signature)))


async def test_only_whom_the_certificate_names_may_enrol(door: Door) -> None:
    own = door.certificate("named")
    async with door.connect(own) as http, door.connect(None) as nobody:
        assert problem(await register(nobody, "named")) == (403, "enrolment-required")
        assert problem(await register(http, "somebody-else")) == (403, "identity-mismatch")
        assert (await register(http, "named")).status_code == 201


async def test_an_api_key_counts_with_its_own_certificate_alone(door: Door) -> None:
    own, newer, foreign = door.certificate("bound"), door.certificate("bound"), door.certificate("other")
    async with door.connect(own) as http, door.connect(newer) as twin, door.connect(foreign) as other:
        client = RustClient(http, "bound")
        assert (await client.register()).status_code == 201
        assert await beat(http, client) == (202, "")
        assert await beat(twin, client) == (401, "invalid-api-key")
        assert await beat(other, client) == (403, "identity-mismatch")
        async with door.connect(None) as nobody:
            assert await beat(nobody, client) == (403, "certificate-required")


async def test_a_renewed_certificate_comes_with_its_own_api_key(door: Door) -> None:
    async with door.connect(door.certificate("renewing")) as http:
        client = RustClient(http, "renewing")
        await client.register()
        key = ec.generate_private_key(ec.SECP256R1())
        answer = await client.post("certificates", {"client_id": "renewing", "csr": csr(key), "timestamp": now_ms()})
        assert answer.status_code == 200, answer.text
        renewed = RustClient(http, "renewing")
        renewed.api_key = answer.json()["api_key"]
        assert await beat(http, client) == (202, "")
        assert await beat(http, renewed) == (401, "invalid-api-key")
    async with door.connect(door.keep("renewing", answer.json()["certificate"].encode(), key)) as http:
        assert await beat(http, renewed) == (202, "")
        assert await beat(http, client) == (401, "invalid-api-key")


async def test_a_registration_without_a_certificate_can_bring_home_the_first_one(door: Door) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    async with door.connect(door.certificate("first")) as http:
        assert (await register(http, "first")).status_code == 201
    async with door.connect(None) as nobody:
        client = RustClient(nobody, "first")
        body, _ = samples.sign_as_rust(samples.registration(now_ms(), "first", client.seed) | {"csr": csr(key)}, client.seed)
        answer = await nobody.post(BASE + "register", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        client.api_key = answer.json()["api_key"]
        assert await beat(nobody, client) == (403, "certificate-required")
    async with door.connect(door.keep("first", answer.json()["certificate"].encode(), key)) as http:
        assert await beat(http, client) == (202, "")


async def test_a_revoked_clients_certificate_is_refused_on_the_open_connection_and_at_the_handshake(door: Door) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    async with door.connect(door.certificate("lost")) as http:
        client = RustClient(http, "lost")
        await client.register()
        answer = await client.post("certificates", {"client_id": "lost", "csr": csr(key), "timestamp": now_ms()})
    issued = door.keep("lost", answer.json()["certificate"].encode(), key)
    async with door.connect(issued) as http:
        client.api_key = answer.json()["api_key"]
        assert await beat(http, client) == (202, "")
        carried_out(await door.site.order("lost", "client.revoke"))

        async def refused() -> bool:
            return await beat(http, client) == (403, "certificate-refused")

        await eventually(refused, 5, "the certificate no longer counts")

    async def turned_away() -> bool:
        async with door.connect(issued) as http:
            try:
                await beat(http, client)
            except httpx2.TransportError:
                return True
        return False

    await eventually(turned_away, 5, "the handshake fails")
