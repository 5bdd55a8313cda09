"""The client library's key store against real edges and the real registry: cut-off rotations, certificates renewed."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509

from infra.ports import free_port
from schemas.certificates import client_uri
from tests.identity.conftest import Site
from tests.identity.test_registration import Edges
from tests.ingest.conftest import serving
from tests.keys.registry import Killed
from tests.topic_probe import TopicProbe
from viworks import Client, Device, HttpTransport, KeyStore, MachineProtector, Metrics, Response
from viworks.keys.certificates import renewal_due_ms

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEVICE = Device("Linux", "6.1", "device-7", "hash-7")
METRICS = Metrics(uptime=12, memory_usage=41.0, cpu_usage=3.5, network_activity=80)


class CutTransport:
    """HTTP to the edge, until the process ends before or after a request for a new key."""

    def __init__(self, url: str, cut: str) -> None:
        self._http = HttpTransport(url)
        self._cut = cut

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        if self._cut == "before" and target.endswith("/keys"):
            raise Killed
        response = await self._http.request(method, target, headers, body)
        if self._cut == "after" and target.endswith("/keys"):
            raise Killed
        return response

    async def close(self) -> None:
        await self._http.close()


def opened(directory: Path, client_id: str) -> KeyStore:
    return KeyStore.open(directory, client_id, MachineProtector(directory / "machine.secret"))


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_rotation_that_is_cut_off_ends_with_a_working_key_and_raises_no_alarm(
    edges: Edges, site_probe: TopicProbe, tmp_path: Path, cut: str
) -> None:
    await site_probe.mark()
    client_id, url = f"cut-{cut}", str(edges[0].base_url)
    with opened(tmp_path, client_id) as store:
        before = store.identity
        async with Client(url, store, device=DEVICE, transport=CutTransport(url, cut)) as client:
            await client.heartbeat(METRICS)
            with pytest.raises(Killed):
                await client.rotate_key()
    with opened(tmp_path, client_id) as store:
        pending = store.pending_identity
        async with Client(str(edges[1].base_url), store, device=DEVICE) as client:
            await client.heartbeat(METRICS)
            assert client.identity == pending != before
            await client.rotate_key()
            await client.heartbeat(METRICS)
    keys = await site_probe.records("client_key", client_id)
    assert [key["origin"] for key in keys] == ["registration", "rotation", "rotation"]
    assert await site_probe.records("event", client_id) == []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tls_url(site: Site) -> AsyncIterator[str]:
    pki, port = site.pki, free_port()
    settings = site.settings(
        edge_tls_host="127.0.0.1",
        edge_tls_port=port,
        tls_cert_file=pki.server_cert,
        tls_key_file=pki.server_key,
        tls_ca_file=pki.ca_cert,
        tls_crl_file=pki.revocation_list,
    )
    async with serving(settings):
        yield f"https://localhost:{port}"


def transport(site: Site, url: str, store: KeyStore, directory: Path) -> HttpTransport:
    context = ssl.create_default_context(cafile=str(site.pki.ca_cert))
    assert store.tls is not None
    pair = directory / "pair.pem"
    pair.write_text(store.tls.chain_pem + store.tls.key_pem)
    context.load_cert_chain(pair)
    return HttpTransport(url, tls=context)


async def test_a_certificate_is_fetched_used_and_renewed(site: Site, edges: Edges, tls_url: str, tmp_path: Path) -> None:
    with opened(tmp_path / "keys", "renewing-library") as store:
        async with Client(str(edges[0].base_url), store, device=DEVICE) as client:
            await client.renew_certificate()
        first = store.tls
        async with Client(tls_url, store, device=DEVICE, transport=transport(site, tls_url, store, tmp_path)) as client:
            await client.heartbeat(METRICS)
            await client.renew_certificate()
    with opened(tmp_path / "keys", "renewing-library") as store:
        assert store.tls is not None
        assert store.tls != first
        async with Client(tls_url, store, device=DEVICE, transport=transport(site, tls_url, store, tmp_path)) as client:
            await client.heartbeat(METRICS)
        certificate = x509.load_pem_x509_certificate(store.tls.chain_pem.encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [client_uri("renewing-library")]
        due_days = (renewal_due_ms(store.tls.chain_pem, 0.5) / 1000 - time.time()) / 86_400
        assert 90 * 2 / 3 < due_days < 90 * 0.78
