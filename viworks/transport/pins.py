"""Pinned keys (RFC 7469, 2.4 and 2.6): the SHA-256 of the SubjectPublicKeyInfo of a certificate in the verified chain.

The check stands inside the handshake, so that a mismatch sends nothing after the ClientHello: neither a request nor, in TLS
1.3, the client's own certificate, which would tell a man in the middle who is calling. (In TLS 1.2 the client's certificate
waits for the check too.)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from dataclasses import dataclass
from typing import Any

from viworks.errors import SettingsInvalid

_DIRECTIVE = re.compile(r'(?:pin-sha256="([^"]{1,60})"|([A-Za-z0-9+/]{43}=))')
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pins:
    """The keys that a server may have; at least two, so that a lost key does not lock the fleet out (RFC 7469, 2.5)."""

    digests: frozenset[bytes]

    @classmethod
    def of(cls, *texts: str) -> Pins:
        """Read pins: ``pin-sha256="..."`` or the base64 alone.

        Raises:
            SettingsInvalid: one of them is not a pin, or there are fewer than two different ones.
        """
        pins = cls(frozenset(_digest(text) for text in texts))
        if len(pins.digests) < 2:
            raise SettingsInvalid("pins: at least two different ones are needed, one of them a backup that is kept offline")
        return pins

    def hold(self, chain: tuple[bytes, ...]) -> bool:
        """Whether a key of the chain (certificates, DER) is pinned."""
        return any(_spki_digest(certificate) in self.digests for certificate in chain)


def pin_of(certificate_der: bytes) -> str:
    """The pin of a certificate's key, base64. Raises ValueError where it is no certificate."""
    return base64.b64encode(_spki_digest(certificate_der)).decode()


class PinsDoNotHold(ssl.SSLCertVerificationError):
    """What the handshake raises; ``PinMismatch`` is made of it. ``presented`` are the pins of the verified chain."""

    presented: tuple[str, ...] = ()


class PinningContext(ssl.SSLContext):
    """A client context whose connections are pinned; without ``pins`` it is an ordinary one."""

    pins: Pins | None = None

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        wrapped = super().wrap_bio(incoming, outgoing, *args, **kwargs)
        if isinstance(wrapped, _PinnedObject):
            wrapped.pins, wrapped.outgoing = self.pins, outgoing
        return wrapped


class _PinnedObject(ssl.SSLObject):
    """One connection. Until ``do_handshake`` returns or raises, what the client says lies in ``outgoing``, unsent."""

    pins: Pins | None
    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            # TLS 1.2: the chain is known, and the client's certificate about to leave.
            self._check_pins(_verified_chain(self))
            raise
        # A chain that cannot be had is a mismatch by then, not a leave to go on.
        self._check_pins(_verified_chain(self) or (self.getpeercert(binary_form=True) or b"",))

    def _check_pins(self, chain: tuple[bytes, ...]) -> None:
        if self.pins is None or not chain or self.pins.hold(chain):
            return
        self.outgoing.read()
        refusal = PinsDoNotHold("none of the presented keys is pinned")
        refusal.presented = tuple(pin_of(certificate) for certificate in chain)
        raise refusal


PinningContext.sslobject_class = _PinnedObject


def _verified_chain(wrapped: Any) -> tuple[bytes, ...]:
    """The chain that OpenSSL verified, leaf first, DER; empty before there is one."""
    if hasattr(wrapped, "get_verified_chain"):  # public since Python 3.13
        return tuple(wrapped.get_verified_chain() or ())
    return tuple(
        ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in wrapped._sslobj.get_verified_chain() or ()
    )


def _digest(text: str) -> bytes:
    found = _DIRECTIVE.fullmatch(text.strip())
    try:
        digest = base64.b64decode(found[1] or found[2], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != _DIGEST_BYTES:
        raise SettingsInvalid("pins: each is the base64 of a SHA-256, 44 characters")
    return digest


def _spki_digest(certificate_der: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate_der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
