"""Where certificates come from: our own authority and its list, another one by a command, or nowhere."""

from __future__ import annotations

import datetime
import stat
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from processors.certificate_authority import CLIENT_DAYS, CertificateAuthority, make_authority
from processors.errors import AuthorityUnusable, CertificateNotIssued
from processors.issuer import CommandIssuer, LocalIssuer, NoIssuer, load_authority, open_issuer
from processors.settings import ProcessorSettings
from schemas.certificates import client_uri, read_request, thumbprint
from tests.identity.test_credentials import csr

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def authority() -> CertificateAuthority:
    return make_authority("an authority of the tests", NOW)[0]


def request() -> str:
    return csr(ec.generate_private_key(ec.SECP256R1()))


def command(directory: Path, text: str) -> str:
    path = directory / "authority"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def test_our_own_authority_signs_for_the_client(authority: CertificateAuthority) -> None:
    text = request()
    issued = await LocalIssuer(authority, None).issue("laptop-7", text)
    certificate = x509.load_pem_x509_certificate(issued.pem.encode())
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [client_uri("laptop-7")]
    assert certificate.public_key() == read_request(text).public_key()
    assert issued.serial == f"{certificate.serial_number:x}"
    assert issued.thumbprint == thumbprint(certificate.public_bytes(Encoding.DER))


async def test_what_is_no_request_is_not_signed(authority: CertificateAuthority) -> None:
    with pytest.raises(CertificateNotIssued):
        await LocalIssuer(authority, None).issue("laptop-7", "nonsense")


def serials(path: Path) -> set[int]:
    return {entry.serial_number for entry in x509.load_pem_x509_crl(path.read_bytes())}


def test_the_list_grows_over_restarts_and_forgets_what_has_expired(authority: CertificateAuthority, tmp_path: Path) -> None:
    path = tmp_path / "crl.pem"
    old = NOW - datetime.timedelta(days=CLIENT_DAYS + 2)
    path.write_bytes(authority.revocation_list({7: old, 8: NOW}, NOW).public_bytes(Encoding.PEM))
    LocalIssuer(authority, path).revoke(["ff"])
    assert serials(path) == {8, 255}
    LocalIssuer(authority, path).revoke([])
    assert serials(path) == {8, 255}
    assert x509.load_pem_x509_crl(path.read_bytes()).is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]


def test_a_list_that_cannot_be_read_is_told(authority: CertificateAuthority, tmp_path: Path) -> None:
    path = tmp_path / "crl.pem"
    path.write_text("nonsense")
    with pytest.raises(AuthorityUnusable):
        LocalIssuer(authority, path)


async def test_a_command_asks_another_authority(tmp_path: Path) -> None:
    authority, key = make_authority("another authority", NOW)
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ca.key").write_bytes(pem)
    program = command(
        tmp_path,
        "import datetime, pathlib, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from processors.issuer import load_authority\n"
        "from schemas.certificates import read_request\n"
        "here = pathlib.Path(__file__).parent\n"
        "request = read_request(sys.stdin.read())\n"
        "now = datetime.datetime.now(datetime.UTC)\n"
        "signed = load_authority(here / 'ca.pem', here / 'ca.key').issue_client(sys.argv[1], request.public_key(), now)\n"
        "from cryptography.hazmat.primitives.serialization import Encoding\n"
        "print(signed.public_bytes(Encoding.PEM).decode())",
    )
    issued = await CommandIssuer(program, 30).issue("laptop-7", request())
    x509.load_pem_x509_certificate(issued.pem.encode()).verify_directly_issued_by(authority.certificate)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print('nonsense')", "no certificate"),
        ("raise SystemExit(3)", "ended with 3"),
        ("print('x' * 100_000)", "ended with 0"),
        ("import time; time.sleep(60)", "in time"),
    ],
)
async def test_a_command_that_fails_is_told_in_bounded_time(tmp_path: Path, text: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(CertificateNotIssued, match=reason):
        await CommandIssuer(command(tmp_path, text), 2).issue("laptop-7", request())
    assert time.monotonic() - began < 10


async def test_a_certificate_for_another_key_is_not_passed_on(authority: CertificateAuthority, tmp_path: Path) -> None:
    foreign = authority.issue_client("laptop-7", ec.generate_private_key(ec.SECP256R1()).public_key(), NOW)
    program = command(tmp_path, f"print({foreign.public_bytes(Encoding.PEM).decode()!r})")
    with pytest.raises(CertificateNotIssued, match="another key"):
        await CommandIssuer(program, 10).issue("laptop-7", request())


async def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CertificateNotIssued, match="does not start"):
        await CommandIssuer(str(tmp_path / "missing"), 2).issue("laptop-7", request())


async def test_without_an_authority_nothing_is_issued() -> None:
    issuer = open_issuer(ProcessorSettings())
    assert isinstance(issuer, NoIssuer)
    with pytest.raises(CertificateNotIssued, match="no certificate authority"):
        await issuer.issue("laptop-7", request())


def test_a_key_of_another_certificate_is_told(tmp_path: Path) -> None:
    (first, _), (_, second_key) = make_authority("a", NOW), make_authority("b", NOW)
    (tmp_path / "ca.pem").write_bytes(first.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.key").write_bytes(second_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(AuthorityUnusable, match="is not the key of"):
        load_authority(tmp_path / "ca.pem", tmp_path / "ca.key")
