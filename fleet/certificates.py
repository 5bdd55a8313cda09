"""TLS keys and certificates of simulated clients, for a server that wants mutual TLS."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleet.client import SimulatedClient
from fleet.errors import TlsUnusable


class Certificates:
    """A file with key and certificate for each client, in a directory that only its owner may read."""

    def __init__(self, directory: Path, ca_file: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._ca_file = ca_file
        self._keys: dict[str, bytes] = {}

    def has(self, client: SimulatedClient) -> bool:
        """Whether there is a certificate of a former run."""
        return self._file(client).exists()

    def request(self, client: SimulatedClient) -> str:
        """A new key's certificate request (PKCS #10, PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._keys[client.client_id] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, client.client_id[:64])])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def keep(self, client: SimulatedClient, certificate: str) -> None:
        """Write key and certificate down."""
        content = self._keys.pop(client.client_id) + certificate.encode()
        descriptor = os.open(self._file(client), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def context(self, client: SimulatedClient) -> ssl.SSLContext:
        """For the client's connections. Raises TlsUnusable."""
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
            context.load_cert_chain(self._file(client))
        except (OSError, ssl.SSLError) as error:
            raise TlsUnusable(f"{client.client_id} has no usable certificate: {type(error).__name__}") from error
        return context

    def _file(self, client: SimulatedClient) -> Path:
        return self._directory / f"{client.client_id}.pem"
