"""TLS certificates of clients: how one names its client, how it is named itself, and what a request for one may hold."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from schemas.errors import BadCertificateRequest

URI_PREFIX = "urn:viworks:client:"
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
_CURVES = (ec.SECP256R1, ec.SECP384R1)


def client_uri(client_id: str) -> str:
    """The URI by which a certificate names a client (subjectAltName)."""
    return URI_PREFIX + quote(client_id, safe="")


def thumbprint(der: bytes) -> str:
    """The name of a certificate in API keys: base64url of its SHA-256 (RFC 8705, ``x5t#S256``)."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def read_request(pem: str) -> x509.CertificateSigningRequest:
    """Read a PKCS #10 request (RFC 2986) and check its proof of possession and its key.

    Raises:
        BadCertificateRequest: not PEM, a signature that does not hold, or a key that no certificate may have.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key, signed = request.public_key(), request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise BadCertificateRequest("the request is not PKCS #10 in PEM") from None
    if not _is_strong(key):
        raise BadCertificateRequest("the key must be ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 bits and more")
    if not signed:
        raise BadCertificateRequest("the request is not signed by its own key")
    return request


def _is_strong(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES)
    if isinstance(key, rsa.RSAPublicKey):
        return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    return isinstance(key, ed25519.Ed25519PublicKey)
