"""A client's TLS certificate: asked for with a new key each time, renewed before it ends, exchanged in one step."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from schemas.messages import CertificateAnswer, RegistrationAnswer
from viworks.errors import AnswerNotTrusted, KeysTampered
from viworks.keys import credentials
from viworks.keys.credentials import ApiKey
from viworks.keys.rotation import Clock, Server, read_answer
from viworks.keys.store import KeyStore

RENEW_AT = 2 / 3
"""Of a certificate's life; each client adds its part of ``JITTER`` so that a fleet of one day does not come at once."""
JITTER = 0.1


def certificate_request(store: KeyStore) -> str:
    """A PKCS #10 request (PEM) for the pending TLS key, which is made and saved where there is none.

    For ``POST /clients/certificates`` and for the member ``csr`` of a registration. Raises KeyFileError.
    """
    key_pem = store.state.pending_tls_key or _new_key()
    store.save(replace(store.state, pending_tls_key=key_pem))
    # The subject is for people: the authority names the client as the registry knows it.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, store.client_id[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_read_key(key_pem), hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def accept_certificate(store: KeyStore, answer: CertificateAnswer | RegistrationAnswer) -> None:
    """Use the certificate of an answer to ``certificate_request``, and its API key, from now on. They belong together.

    Raises:
        AnswerNotTrusted: no certificate, or not the pending key's.
        KeyFileError: it could not be saved; the former pair stays in use, and works until its certificate ends.
    """
    chain, pending = answer.certificate, store.state.pending_tls_key
    if not isinstance(chain, str) or pending is None or not _belong_together(chain, pending):
        raise AnswerNotTrusted("the answer holds no certificate of the key that asked for it")
    api_key = ApiKey(text=answer.api_key, expires_at_ms=answer.expires_at)
    store.save(credentials.certified(store.state, chain, api_key))


async def renew_certificate(store: KeyStore, server: Server, clock: Clock) -> None:
    """Get a new certificate for a new TLS key. The former pair stays in use until the new one is on disk.

    After it returns the transport has to connect anew: the API key counts on connections with the new certificate alone.

    Raises:
        Unreachable, Refused, AnswerNotTrusted, KeyFileError: the former pair stays in use; call it again.
    """
    message = {"client_id": store.client_id, "csr": certificate_request(store), "timestamp": clock()}
    accept_certificate(store, read_answer(await server.post("certificates", message), CertificateAnswer))


def renewal_due_ms(chain_pem: str, jitter: float) -> int:
    """When to renew, in milliseconds since the epoch: at two thirds of the certificate's life and up to a tenth later.

    Args:
        jitter: 0 to 1, drawn once for each certificate.

    Raises:
        KeysTampered: the text is no certificate.
    """
    certificate = _leaf(chain_pem)
    moments = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    begins, ends = (int(moment.timestamp() * 1000) for moment in moments)
    return begins + int((ends - begins) * (RENEW_AT + JITTER * min(max(jitter, 0.0), 1.0)))


def _new_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # the store encrypts it


def _read_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeysTampered("the pending TLS key is of another kind than this library makes")
    return key


def _belong_together(chain_pem: str, key_pem: str) -> bool:
    try:
        leaf = _leaf(chain_pem)
    except KeysTampered:
        return False
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return leaf.public_key().public_bytes(*spki) == _read_key(key_pem).public_key().public_bytes(*spki)


def _leaf(chain_pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(chain_pem.encode())
    except ValueError:
        raise KeysTampered("the certificate cannot be read") from None
