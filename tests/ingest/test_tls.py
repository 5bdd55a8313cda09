"""Who is let in over TLS, and that certificates, authorities and revocations take effect without a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding

from ingest.revoked_serials import RevokedSerials
from ingest.settings import EdgeSettings
from ingest.tls import TlsFiles, load
from schemas.certificates import client_uri, thumbprint
from tests.deadline import eventually
from tests.ingest.front_server import LoopFactory, front_server, front_settings
from tests.ingest.pki import SERVER, Leaf, Pki, two_clients
from tests.ingest.raw_http import Answer, RawConnection, connection, request

GET = request("GET", "/")


@pytest.fixture(params=[None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    factory: LoopFactory = request.param
    return factory


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    pki = Pki(tmp_path)
    pki.write()
    return pki


class Running:
    """A front and how to speak to it."""

    def __init__(self, pki: Pki, settings: EdgeSettings, revoked: RevokedSerials) -> None:
        self.pki, self.settings, self.revoked = pki, settings, revoked

    def connect(self, leaf: Leaf | None, **options: Any) -> Any:
        context = self.pki.context(leaf)
        return connection(self.settings.edge_tls_port, ssl=context, server_hostname="localhost", **options)

    async def ask(self, leaf: Leaf | None, *headers: tuple[str, str]) -> Answer | None:
        """One request on a connection of its own; None where the handshake fails."""
        try:
            async with self.connect(leaf) as raw:
                return await ask(raw, *headers)
        except OSError:
            return None


async def ask(raw: RawConnection, *headers: tuple[str, str]) -> Answer | None:
    await raw.send(request("GET", "/", headers))
    return next(iter(await raw.answers(1)), None)


def known(answer: Answer | None) -> dict[str, Any]:
    assert answer is not None, "the handshake failed"
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


@pytest.fixture
def running(pki: Pki, loop_factory: LoopFactory) -> Iterator[Running]:
    settings = front_settings(pki)
    with front_server(settings, loop_factory) as revoked:
        yield Running(pki, settings, revoked)


async def test_a_client_is_known_by_its_certificate(running: Running) -> None:
    by_uri = running.pki.client("client:1@site.example")
    long = running.pki.client("c" * 128)
    by_name = running.pki.leaf(common_name="c-2")
    with_spare_name = running.pki.leaf(common_name="Somebody's laptop", uris=[client_uri("c-3")])
    found = [known(await running.ask(leaf))["peer"] for leaf in (by_uri, long, by_name, with_spare_name)]
    assert [peer["client_id"] for peer in found] == ["client:1@site.example", "c" * 128, "c-2", "c-3"]
    certificate = by_uri.certificate
    assert found[0]["serial"] == certificate.serial_number
    assert found[0]["not_after_s"] == certificate.not_valid_after_utc.timestamp()
    assert found[0]["thumbprint"] == thumbprint(certificate.public_bytes(Encoding.DER))


REFUSED_AT_ONCE: dict[str, Callable[[Pki, Pki], Leaf | None]] = {
    "no certificate": lambda _, __: None,
    "of another authority": lambda _, other: other.client("c-1"),
    "expired": lambda pki, _: pki.leaf(common_name="c-1", days=(-3, -1)),
    "not valid yet": lambda pki, _: pki.leaf(common_name="c-1", days=(1, 3)),
    "of a server": lambda pki, _: pki.leaf(common_name="c-1", use=SERVER),
}


@pytest.mark.parametrize("kind", REFUSED_AT_ONCE)
async def test_the_handshake_refuses(kind: str, running: Running, tmp_path: Path) -> None:
    # Of the same name, so that only the signature tells them apart.
    assert await running.ask(REFUSED_AT_ONCE[kind](running.pki, Pki(tmp_path))) is None
    assert await running.ask(running.pki.client("c-1")) is not None


NAMES_NOBODY: dict[str, Callable[[Pki], Leaf]] = {
    "no name": lambda pki: pki.leaf(dns=["host.example"]),
    "two clients": lambda pki: pki.leaf(uris=two_clients()),
    "a name that is no client id": lambda pki: pki.leaf(common_name="two words"),
    "an empty id": lambda pki: pki.leaf(uris=[client_uri("")]),
    "an id that is not UTF-8": lambda pki: pki.leaf(uris=["urn:viworks:client:%ff"]),
}


@pytest.mark.parametrize("kind", NAMES_NOBODY)
async def test_a_certificate_must_name_one_client(kind: str, running: Running) -> None:
    async with running.connect(NAMES_NOBODY[kind](running.pki)) as raw:
        answer = await ask(raw)
        assert answer is not None
        assert (answer.status, answer.slug) == (403, "certificate-refused")
        assert await raw.is_closed()


async def test_a_revocation_takes_effect_for_new_and_open_connections(running: Running) -> None:
    pki = running.pki
    revoked, other = pki.client("c-1"), pki.client("c-2")
    async with running.connect(revoked) as open_connection, running.connect(other) as others:
        assert known(await ask(open_connection))["peer"]["client_id"] == "c-1"
        pki.crl.write_bytes(pki.crl_pem(revoked))

        async def refused() -> bool:
            return await running.ask(revoked) is None

        await eventually(refused, 5, "the handshake refuses the certificate")
        answer = await ask(open_connection)
        assert answer is not None
        assert (answer.status, answer.slug) == (403, "certificate-refused")
        assert await open_connection.is_closed()
        assert known(await ask(others))["peer"]["client_id"] == "c-2"
    pki.crl.write_bytes(pki.crl_pem())

    async def taken_back() -> bool:
        return await running.ask(revoked) is not None

    await eventually(taken_back, 5, "the list no longer names it")


async def test_a_revocation_by_the_registry_takes_effect_at_the_next_request(running: Running) -> None:
    leaf = running.pki.client("c-1")
    async with running.connect(leaf) as raw:
        assert known(await ask(raw))
        running.revoked.add({leaf.certificate.serial_number})
        answer = await ask(raw)
    assert answer is not None
    assert (answer.status, answer.slug) == (403, "certificate-refused")


async def test_a_new_authority_and_a_new_server_certificate_take_effect(running: Running, tmp_path: Path) -> None:
    pki, newer = running.pki, Pki(tmp_path, "Newer CA")
    old, new = pki.client("c-1"), newer.client("c-2")
    async with running.connect(old) as open_connection:
        before = open_connection.writer.get_extra_info("peercert")["serialNumber"]
        assert await running.ask(new) is None
        # The list first: an authority without one would be refused as a whole.
        pki.crl.write_bytes(pki.crl_pem() + newer.crl_pem())
        pki.ca.write_bytes(pki.ca_pem + newer.ca_pem)
        server = pki.server()
        pki.cert.write_bytes(server.pem)
        pki.key.write_bytes(server.key_pem)

        async def accepted() -> bool:
            return await running.ask(new) is not None

        await eventually(accepted, 5, "the newer authority's client gets in")
        async with running.connect(old) as raw:
            assert raw.writer.get_extra_info("peercert")["serialNumber"] != before
        assert known(await ask(open_connection))["peer"]["client_id"] == "c-1"


BROKEN: dict[str, Callable[[Pki, Pki], None]] = {
    "a list that is no list": lambda pki, _: void(pki.crl.write_bytes(b"broken")),
    "a list of another authority": lambda pki, other: void(pki.crl.write_bytes(other.crl_pem())),
    "no list": lambda pki, _: pki.crl.unlink(),
    "an authority without a list": lambda pki, other: void(pki.ca.write_bytes(pki.ca_pem + other.ca_pem)),
    "another key": lambda pki, _: void(pki.key.write_bytes(pki.server().key_pem)),
    "half a certificate": lambda pki, _: void(pki.cert.write_bytes(pki.server().pem[:300])),
}


def void(_: object) -> None:
    """The value is not wanted."""


@pytest.mark.parametrize("fault", BROKEN)
async def test_broken_files_leave_the_former_in_force(
    fault: str, running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pki = running.pki
    leaf = pki.client("c-1")
    BROKEN[fault](pki, Pki(tmp_path, "Other CA"))
    await eventually(lambda: "stay in force" in caplog.text, 5, "the fault is logged")
    assert await running.ask(leaf) is not None
    pki.write()
    pki.crl.write_bytes(pki.crl_pem(leaf))

    async def refused() -> bool:
        return await running.ask(leaf) is None

    await eventually(refused, 5, "the mended files take effect")


async def test_a_certificate_that_ends_is_refused_on_an_open_connection(pki: Pki) -> None:
    offset_ms = 0
    settings = front_settings(pki)
    leaf = pki.client("c-1")
    with front_server(settings, clock=lambda: time.time_ns() // 1_000_000 + offset_ms) as revoked:
        async with Running(pki, settings, revoked).connect(leaf) as raw:
            assert known(await ask(raw))
            offset_ms = 91 * 86_400_000

            async def refused() -> bool:
                answer = await ask(raw)
                return answer is not None and (answer.status, answer.slug) == (403, "certificate-refused")

            await eventually(refused, 5, "the certificate has ended")


async def test_certificates_can_be_optional(pki: Pki, tmp_path: Path, loop_factory: LoopFactory) -> None:
    settings = front_settings(pki, tls_client_certificate="optional")
    with front_server(settings, loop_factory) as revoked:
        running = Running(pki, settings, revoked)
        assert known(await running.ask(None))["peer"] is None
        assert known(await running.ask(pki.client("c-1")))["peer"]["client_id"] == "c-1"
        assert await running.ask(Pki(tmp_path).client("c-1")) is None


async def test_a_handshake_has_a_deadline_and_counts(pki: Pki, loop_factory: LoopFactory) -> None:
    settings = front_settings(pki, request_timeout_s=3.0, max_connections_per_address=3)
    with front_server(settings, loop_factory) as revoked:
        running = Running(pki, settings, revoked)
        began = time.monotonic()
        silent = [await asyncio.open_connection("127.0.0.1", settings.edge_tls_port) for _ in range(4)]
        # The fourth is closed as soon as it is accepted.
        assert await asyncio.wait_for(silent[3][0].read(), 2) == b""
        assert [await asyncio.wait_for(reader.read(), 10) for reader, _ in silent[:3]] == [b""] * 3
        assert 2.9 < time.monotonic() - began < 6
        for _, writer in silent:
            writer.close()

        async def admitted() -> bool:  # once the loop has seen that the silent ones are gone
            return await running.ask(pki.client("c-1")) is not None

        await eventually(admitted, 5, "their places are free")


async def test_sessions_are_not_resumed_past_a_revocation(running: Running) -> None:
    async with running.connect(running.pki.client("c-1")) as raw:
        assert known(await ask(raw))
        assert not raw.writer.get_extra_info("ssl_object").session.has_ticket


def test_the_files_at_fault_are_named(pki: Pki) -> None:
    pki.crl.write_bytes(b"")
    with pytest.raises(Exception, match=r"crl\.pem"):
        load(TlsFiles(pki.cert, pki.key, pki.ca, pki.crl, client_certificate=True))


# Proxies

PROXY = "proxy.example"


def forwarded(leaf: Leaf, before: str = "") -> tuple[str, str]:
    value = f'{before}By=spiffe://edge;Hash={"0" * 64};Subject="CN=a;b,c";Cert="{quote(leaf.pem.decode(), safe="")}"'
    return "X-Forwarded-Client-Cert", value


@pytest.fixture
def behind(pki: Pki) -> Iterator[Running]:
    settings = front_settings(pki, trusted_proxies=(PROXY,))
    with front_server(settings, uvloop.new_event_loop) as revoked:
        yield Running(pki, settings, revoked)


async def test_a_proxy_speaks_for_clients_each_request_for_its_own(behind: Running) -> None:
    first, second = behind.pki.client("c-1"), behind.pki.client("c-2")
    other = forwarded(behind.pki.client("c-9"))[1] + ","
    async with behind.connect(behind.pki.leaf(dns=[PROXY.upper()])) as raw:
        found = [
            known(await ask(raw, forwarded(first), ("X-Forwarded-For", "10.1.1.1, 192.0.2.7"))),
            known(await ask(raw, forwarded(second, other), ("X-Forwarded-For", "2001:db8::1:2:3:4"))),
            known(await ask(raw, forwarded(first))),
        ]
    assert [state["peer"]["client_id"] for state in found] == ["c-1", "c-2", "c-1"]
    assert [state["address"] for state in found] == ["192.0.2.7", "2001:db8::/64", "127.0.0.1"]
    assert found[0]["peer"]["thumbprint"] == thumbprint(first.certificate.public_bytes(Encoding.DER))
    assert found[0]["headers"] == ["host"]


async def test_nobody_else_is_believed(behind: Running) -> None:
    spoofed = forwarded(behind.pki.client("c-1")), ("X-Forwarded-For", "192.0.2.7")
    for leaf in (behind.pki.client("c-2"), behind.pki.leaf(common_name="c-2", dns=["evil.proxy.example"])):
        state = known(await behind.ask(leaf, *spoofed))
        assert (state["peer"]["client_id"], state["address"], state["headers"]) == ("c-2", "127.0.0.1", ["host"])


async def test_a_proxy_can_be_named_by_thumbprint(pki: Pki) -> None:
    proxy = pki.leaf(common_name=PROXY)
    settings = front_settings(pki, trusted_proxies=(thumbprint(proxy.certificate.public_bytes(Encoding.DER)),))
    with front_server(settings) as revoked:
        behind = Running(pki, settings, revoked)
        assert known(await behind.ask(proxy, forwarded(pki.client("c-1"))))["peer"]["client_id"] == "c-1"
        assert (await behind.ask(pki.leaf(dns=[PROXY]), forwarded(pki.client("c-1")))).status == 403  # type: ignore[union-attr]


UNFIT: dict[str, Callable[[Pki, Pki], tuple[list[tuple[str, str]], int]]] = {
    "nothing forwarded": lambda _, __: ([], 403),
    "of another authority": lambda _, other: ([forwarded(other.client("c-1"))], 403),
    "expired": lambda pki, _: ([forwarded(pki.leaf("c-1", days=(-3, -1)))], 403),
    "not valid yet": lambda pki, _: ([forwarded(pki.leaf("c-1", days=(1, 3)))], 403),
    "of a server": lambda pki, _: ([forwarded(pki.leaf("c-1", use=SERVER))], 403),
    "of two clients": lambda pki, _: ([forwarded(pki.leaf(uris=two_clients()))], 403),
    "no PEM": lambda _, __: ([("X-Forwarded-Client-Cert", "Cert=abc")], 403),
    "a hash alone": lambda _, __: ([("X-Forwarded-Client-Cert", f"Hash={'0' * 64}")], 403),
    "only in an element of somebody else": lambda pki, _: (
        [(forwarded(pki.client("c-1"))[0], forwarded(pki.client("c-1"))[1] + f",Hash={'0' * 64}")],
        403,
    ),
    "not Envoy's format": lambda _, __: ([("X-Forwarded-Client-Cert", '"')], 400),
    "two headers": lambda pki, _: ([forwarded(pki.client("c-1"))] * 2, 400),
}


@pytest.mark.parametrize("kind", UNFIT)
async def test_a_forwarded_certificate_stands_the_same_checks(kind: str, behind: Running, tmp_path: Path) -> None:
    headers, status = UNFIT[kind](behind.pki, Pki(tmp_path))
    answer = await behind.ask(behind.pki.leaf(dns=[PROXY]), *headers)
    assert answer is not None
    assert (answer.status, bool(answer.slug)) == (status, True)


async def test_a_forwarded_certificate_can_be_revoked(behind: Running) -> None:
    leaf = behind.pki.client("c-1")
    async with behind.connect(behind.pki.leaf(dns=[PROXY])) as raw:
        assert known(await ask(raw, forwarded(leaf)))
        behind.revoked.add({leaf.certificate.serial_number})
        answer = await ask(raw, forwarded(leaf))
    assert answer is not None
    assert (answer.status, answer.slug) == (403, "certificate-refused")
