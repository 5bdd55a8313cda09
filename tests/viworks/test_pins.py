"""Who sits between: another authority's certificate, or another key of the right one. Nothing is sent to either."""

from __future__ import annotations

import base64
import hashlib
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.deadline import eventually
from tests.ingest.pki import SERVER, Leaf, Pki
from tests.viworks.tls_peer import Peer, tls_peer
from viworks.errors import CertificateRefused, PinMismatch, SettingsInvalid, Unreachable
from viworks.transport import HttpTransport, RetryingTransport, RetryPolicy
from viworks.transport.pins import Pins, pin_of
from viworks.transport.tls import ClientCertificate, Contexts, TlsSettings

VERSIONS = [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2]


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def own(leaf: Leaf) -> ClientCertificate:
    return ClientCertificate(leaf.pem, leaf.key_pem)


def pin(certificate: x509.Certificate) -> str:
    return pin_of(certificate.public_bytes(Encoding.DER))


def pinned(pki: Pki, *leaves: x509.Certificate, lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> TlsSettings:
    certificate = own(pki.client("c-1"))
    return TlsSettings(pki.ca_pem, Pins.of(*map(pin, leaves)), lambda: certificate, lowest)


async def ask(peer: Peer, tls: TlsSettings) -> int:
    transport = HttpTransport(peer.url, tls=tls)
    try:
        return (await transport.request("POST", "/api/v1/clients/heartbeat", {}, b"{}")).status
    finally:
        await transport.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_pinned_server_is_spoken_to(pki: Pki, version: ssl.TLSVersion) -> None:
    server, backup = pki.server(), pki.server()
    async with tls_peer(pki, server, version) as peer:
        assert await ask(peer, pinned(pki, backup.certificate, server.certificate, lowest=version)) == 202
    assert peer.connections[0].plaintext.endswith(b"{}")
    assert peer.connections[0].certificate is not None


async def test_a_pinned_authority_lets_its_servers_renew(pki: Pki) -> None:
    async with tls_peer(pki, pki.server()) as peer:
        assert await ask(peer, pinned(pki, pki.authority.certificate, pki.server().certificate)) == 202


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_key_of_the_right_authority_hears_no_request_and_no_certificate(
    pki: Pki, version: ssl.TLSVersion
) -> None:
    server, backup, impostor = pki.server(), pki.server(), pki.server()
    async with tls_peer(pki, impostor, version) as peer:
        with pytest.raises(PinMismatch) as caught:
            await ask(peer, pinned(pki, server.certificate, backup.certificate, lowest=version))
        heard = peer.connections[0]
        await eventually(lambda: heard.ended, 5)
    assert caught.value.presented[0] == pin(impostor.certificate)
    assert caught.value.host == "localhost"
    assert len(heard.flights) == 1, "nothing but the ClientHello"
    assert (heard.handshake_done, heard.plaintext, heard.certificate) == (False, b"", None)


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_authority_is_refused(pki: Pki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    other = Pki(tmp_path, "Another CA")
    impostor = other.server()
    async with tls_peer(other, impostor, version) as peer:
        # Even where its key was pinned: a pin does not stand in for the deployment's authority.
        with pytest.raises(CertificateRefused) as caught:
            await ask(peer, pinned(pki, impostor.certificate, pki.server().certificate, lowest=version))
        heard = peer.connections[0]
        await eventually(lambda: heard.ended, 5)
    assert not isinstance(caught.value, PinMismatch)
    assert "self-signed certificate in certificate chain" in caught.value.reason
    assert (heard.handshake_done, heard.plaintext, heard.certificate) == (False, b"", None)


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [({"dns": ["elsewhere.example"]}, "Hostname mismatch"), ({"dns": ["localhost"], "days": (-9, -1)}, "expired")],
)
async def test_a_certificate_for_another_name_or_out_of_date(pki: Pki, faulty: dict[str, object], reason: str) -> None:
    leaf = pki.leaf(use=SERVER, **faulty)  # type: ignore[arg-type]
    async with tls_peer(pki, leaf) as peer:
        with pytest.raises(CertificateRefused, match=reason):
            await ask(peer, pinned(pki, leaf.certificate, pki.server().certificate))
    assert peer.connections[0].plaintext == b""


async def test_a_server_without_tls_1_3_is_refused_by_default(pki: Pki) -> None:
    server = pki.server()
    async with tls_peer(pki, server, ssl.TLSVersion.TLSv1_2) as peer:
        with pytest.raises(Unreachable, match="PROTOCOL_VERSION"):
            await ask(peer, pinned(pki, server.certificate, pki.server().certificate))
    assert peer.connections[0].plaintext == b""


def test_what_the_handshake_had_to_say_is_thrown_away(pki: Pki) -> None:
    """Whatever an event loop does with it after an error."""
    impostor = pki.server()
    file = pki.directory / "impostor.pem"
    file.write_bytes(impostor.pem + impostor.key_pem)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(file)
    ours = Contexts(pinned(pki, pki.server().certificate, pki.server().certificate)).current()
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_us, to_them, server_hostname="localhost")
    server = theirs.wrap_bio(to_them, to_us, server_side=True)
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.do_handshake()
    assert to_them.pending == 0


async def test_a_mismatch_is_not_tried_again_and_is_told_to_whoever_reports_it(pki: Pki) -> None:
    findings: list[Unreachable] = []
    async with tls_peer(pki, pki.server()) as peer:
        direct = HttpTransport(peer.url, tls=pinned(pki, pki.server().certificate, pki.server().certificate))
        transport = RetryingTransport(direct, RetryPolicy(attempts=5), on_failure=findings.append)
        with pytest.raises(PinMismatch):
            await transport.request("GET", "/", {}, None)
        await transport.close()
    assert len(peer.connections) == 1
    (finding,) = findings
    assert isinstance(finding, PinMismatch)
    assert len(finding.presented) == 2


def test_a_pin_is_what_openssl_says(pki: Pki) -> None:
    """The command is the one of the documentation."""
    leaf = pki.server()
    run = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=leaf.pem, capture_output=True, check=True)
    spki = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=run.stdout, capture_output=True, check=True
    )
    assert pin(leaf.certificate) == base64.b64encode(hashlib.sha256(spki.stdout).digest()).decode()


def test_the_two_ways_of_writing_a_pin() -> None:
    one, two = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    assert Pins.of(one, f'pin-sha256="{two}"') == Pins.of(two, one)


@pytest.mark.parametrize(
    "texts", [(), ("A" * 43 + "=",), ("A" * 43 + "=",) * 2, ("A" * 43 + "=", "short"), ("!" * 43 + "=",) * 2]
)
def test_pins_that_lock_out_or_are_none(texts: tuple[str, ...]) -> None:
    with pytest.raises(SettingsInvalid):
        Pins.of(*texts)
