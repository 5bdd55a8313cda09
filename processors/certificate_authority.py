"""The installation's certificate authority: signs TLS certificates and its revocation list (RFC 5280)."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from schemas.certificates import client_uri

CA_DAYS = 3650
SERVER_DAYS = 90
CLIENT_DAYS = 90
# The list is written anew at every start and revocation. An edge whose list has ended would refuse everybody.
LIST_DAYS = 365
# Clocks of clients may be behind.
_BACKDATED = datetime.timedelta(minutes=10)
_LONGEST_COMMON_NAME = 64


class CertificateAuthority:
    """Signs with a key (ECDSA P-256, which every TLS client takes)."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    def issue_client(
        self, client_id: str, public_key: CertificatePublicKeyTypes, now: datetime.datetime
    ) -> x509.Certificate:
        """A TLS client certificate that names ``client_id`` as a URI, and as common name where that is long enough."""
        names = [x509.UniformResourceIdentifier(client_uri(client_id))]
        builder = self._builder(client_id, public_key, now, CLIENT_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH)
        # RFC 5280, 4.2.1.6: critical where it is all that names the subject.
        alone = len(client_id) > _LONGEST_COMMON_NAME
        return self._sign(builder.add_extension(x509.SubjectAlternativeName(names), critical=alone))

    def issue_server(
        self, names: Sequence[str], public_key: CertificatePublicKeyTypes, now: datetime.datetime
    ) -> x509.Certificate:
        """A TLS server certificate for DNS names and IP addresses."""
        builder = self._builder(names[0], public_key, now, SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH)
        alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
        return self._sign(builder.add_extension(alternatives, critical=False))

    def revocation_list(
        self, revoked: Mapping[int, datetime.datetime], now: datetime.datetime
    ) -> x509.CertificateRevocationList:
        """The list of the serial numbers that no longer count, each with the moment since when."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _BACKDATED)
            .next_update(now + datetime.timedelta(days=LIST_DAYS))
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )
        for serial, since in sorted(revoked.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256())

    def _issuer_key(self) -> x509.AuthorityKeyIdentifier:
        issuer_key = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key)

    def _builder(
        self, common_name: str, key: CertificatePublicKeyTypes, now: datetime.datetime, days: int, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return (
            _unsigned(_name(common_name), self.certificate.subject, key, now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256())


def make_authority(name: str, now: datetime.datetime) -> tuple[CertificateAuthority, ec.EllipticCurvePrivateKey]:
    """A new authority and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    certificate = (
        _unsigned(subject, subject, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return CertificateAuthority(certificate, key), key


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    # X.520 ends a common name at 64 characters; a longer client id stands in the URI alone.
    fits = len(common_name) <= _LONGEST_COMMON_NAME
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if fits else [])


def general_name(name: str) -> x509.GeneralName:
    """A DNS name or an IP address."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
