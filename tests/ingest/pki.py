"""Certificates as tests need them, the faulty ones too."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from processors.certificate_authority import CertificateAuthority, make_authority
from schemas.certificates import client_uri

DAY = datetime.timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Leaf(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Pki:
    """An authority and the files of a listener, all in one folder."""

    def __init__(self, directory: Path, name: str = "Test CA") -> None:
        self.directory = directory
        self.authority, self._key = make_authority(name, now())
        self.cert, self.key, self.ca, self.crl = (directory / f"{part}.pem" for part in ("cert", "key", "ca", "crl"))

    @property
    def ca_pem(self) -> bytes:
        return self.authority.certificate.public_bytes(Encoding.PEM)

    def crl_pem(self, *revoked: Leaf) -> bytes:
        serials = {leaf.certificate.serial_number: now() for leaf in revoked}
        return self.authority.revocation_list(serials, now()).public_bytes(Encoding.PEM)

    def write(self) -> None:
        """The files of a listener."""
        server = self.server()
        self.cert.write_bytes(server.pem)
        self.key.write_bytes(server.key_pem)
        self.ca.write_bytes(self.ca_pem)
        self.crl.write_bytes(self.crl_pem())

    def server(self) -> Leaf:
        key = ec.generate_private_key(ec.SECP256R1())
        return Leaf(self.authority.issue_server(["localhost"], key.public_key(), now()), key)

    def client(self, client_id: str) -> Leaf:
        key = ec.generate_private_key(ec.SECP256R1())
        return Leaf(self.authority.issue_client(client_id, key.public_key(), now()), key)

    def leaf(
        self,
        common_name: str = "",
        uris: Sequence[str] = (),
        dns: Sequence[str] = (),
        days: tuple[int, int] = (-1, 1),
        use: x509.ObjectIdentifier = CLIENT,
    ) -> Leaf:
        """A certificate of any kind. ``days`` from now: its beginning and its end."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self.authority.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() + days[0] * DAY)
            .not_valid_after(now() + days[1] * DAY)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        )
        alternatives = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=not names)
        return Leaf(builder.sign(self._key, hashes.SHA256()), key)

    def context(self, leaf: Leaf | None) -> ssl.SSLContext:
        """A client's context that trusts this authority."""
        context = ssl.create_default_context(cadata=self.ca_pem.decode())
        if leaf is not None:
            file = self.directory / f"{leaf.certificate.serial_number:x}.pem"
            file.write_bytes(leaf.pem + leaf.key_pem)
            context.load_cert_chain(file)
        return context


def two_clients() -> list[str]:
    return [client_uri("c-1"), client_uri("c-2")]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


__all__ = ["CLIENT", "SERVER", "CertificateAuthority", "Leaf", "Pki", "now", "two_clients"]
