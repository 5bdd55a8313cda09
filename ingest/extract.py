"""From raw bytes to a message that can be trusted: the only way to an endpoint with a body.

headers → token → bounded body → JSON without duplicates → message → identities → signature → freshness. A handler takes a
``SignedRequest`` and cannot be reached without one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Generic

import msgspec

from ingest import errors
from ingest.tokens import Identity
from ingest.unknown_members import count_unknown
from schemas import messages, plain_body, signing
from schemas.errors import (
    BadPublicKey,
    BadSignature,
    DuplicateKey,
    InvalidMessage,
    MalformedSignature,
    NotJson,
)
from schemas.messages import (
    CertificateRequest,
    ClientRegistration,
    Heartbeat,
    KeyRotation,
    M,
    SecurityEvent,
    SessionReport,
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
RawHeaders = list[tuple[bytes, bytes]]

JSON = b"application/json"
_ONCE = frozenset({b"authorization", b"x-client-id", b"x-signature", b"content-type"})
MINUTE_MS = 60_000
MAX_AHEAD_MS = 5 * MINUTE_MS
MAX_BEHIND_MS = {
    ClientRegistration: 5 * MINUTE_MS,
    Heartbeat: 5 * MINUTE_MS,
    KeyRotation: 5 * MINUTE_MS,
    CertificateRequest: 5 * MINUTE_MS,
    SessionReport: 7 * 24 * 60 * MINUTE_MS,
    SecurityEvent: 7 * 24 * 60 * MINUTE_MS,
}


class SignedRequest(msgspec.Struct, Generic[M], frozen=True, gc=False):
    """A verified message.

    Attributes:
        signed_bytes: the exact bytes that ``signature`` (64 bytes) covers.
        identity: whose key verified it.
        received_ms: when, by the edge's clock.
    """

    message: M
    signed_bytes: bytes
    signature: bytes
    identity: Identity
    received_ms: int


def header_map(raw: RawHeaders) -> dict[bytes, bytes]:
    """The headers by lower-case name. Raises MissingHeader's sibling UnfitMessage where an identity header stands twice."""
    found = dict(raw)
    if len(found) != len(raw):
        _refuse_repeated(raw)
    return found


def _refuse_repeated(raw: RawHeaders) -> None:
    seen: set[bytes] = set()
    for name, _ in raw:
        if name in seen and name in _ONCE:
            raise errors.UnfitMessage("the header stands twice", name.decode("latin-1"))
        seen.add(name)


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int, expected: bytes = JSON) -> bytes:
    """Read a body of the media type ``expected`` and of at most ``limit`` bytes, counted while it streams in.

    Raises:
        UnsupportedMediaType, BodyTooLarge.
    """
    check_content(headers, limit, expected)
    return await _stream(receive, limit)


def check_content(headers: dict[bytes, bytes], limit: int, expected: bytes = JSON) -> None:
    """Check what the headers say of the body. Raises UnsupportedMediaType, BodyTooLarge."""
    sent = headers.get(b"content-type", b"")
    if sent != expected and sent.partition(b";")[0].strip().lower() != expected:
        raise errors.UnsupportedMediaType(f"Content-Type must be {expected.decode()}", "Content-Type")
    if b"content-encoding" in headers:
        raise errors.UnsupportedMediaType("encoded bodies are not accepted", "Content-Encoding")
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > 18 or int(declared) > limit:
        raise errors.BodyTooLarge(f"a body has at most {limit} bytes")


async def _stream(receive: Receive, limit: int) -> bytes:
    event = await receive()
    body: bytes = event.get("body", b"")
    if not event.get("more_body"):
        return bounded(body, limit)
    chunks = [body]
    size = len(body)
    while event.get("more_body"):
        event = await receive()
        if event["type"] == "http.disconnect":
            raise errors.MalformedJson("the body ended early")
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            break
    return bounded(b"".join(chunks), limit)


def bounded(body: bytes, limit: int) -> bytes:
    """The body, if it is within the limit. Raises BodyTooLarge."""
    if len(body) > limit:
        raise errors.BodyTooLarge(f"a body has at most {limit} bytes")
    return body


def verify_message(
    body: bytes, kind: type[M], headers: dict[bytes, bytes], identity: Identity, now_ms: int
) -> SignedRequest[M]:
    """Check a body of a client that is known by its token.

    Raises:
        MissingHeader, and what ``verify_body`` raises.
    """
    if b"x-signature" not in headers:
        raise errors.MissingHeader("X-Signature is missing", "X-Signature")
    return verify_body(body, kind, headers, lambda _: identity, now_ms)


def verify_registration(body: bytes, headers: dict[bytes, bytes], now_ms: int) -> SignedRequest[ClientRegistration]:
    """Check a registration: it proves possession of the very key that it brings. Raises as ``verify_body``."""
    return verify_body(body, ClientRegistration, headers, _own_identity, now_ms)


def _own_identity(message: ClientRegistration) -> Identity:
    try:
        public_key = signing.public_key_from_pem(message.public_key)
    except BadPublicKey as error:
        raise errors.UnfitPublicKey(str(error), "public_key") from None
    return Identity(message.client_id, public_key, signing.key_id(public_key), frozenset(), 0, 0)


def verify_body(
    body: bytes,
    kind: type[M],
    headers: dict[bytes, bytes],
    identity_of: Callable[[M], Identity],
    now_ms: int,
) -> SignedRequest[M]:
    """Parse, compare the identities, verify the signature, check the age.

    Raises:
        MalformedJson, RepeatedKey, UnfitMessage, IdentityMismatch, UnfitPublicKey, MalformedSignatureProblem,
        SignatureRefused, StaleTimestamp.
    """
    message, signed, text = _parse(body, kind)
    identity = identity_of(message)
    _check_identities(message, headers, identity, text)
    signature = _check_signature(signed, text, identity.public_key)
    check_age(kind, message_time_ms(message), now_ms)
    return SignedRequest(message, signed, signature, identity, now_ms)


def _parse(body: bytes, kind: type[M]) -> tuple[M, bytes, str]:
    try:
        message = messages.decode_message(body, kind)
        plain = plain_body.signed_bytes(body, message)
        signed, text = (plain, message.signature) if plain is not None else signing.signed_bytes(body)
        if plain is None:
            count_unknown(body, message)
    except NotJson as error:
        raise errors.MalformedJson(str(error)) from None
    except DuplicateKey as error:
        raise errors.RepeatedKey(str(error)) from None
    except InvalidMessage as error:
        raise errors.UnfitMessage(error.detail, error.member) from None
    return message, signed, text


def _check_identities(message: messages.Message, headers: dict[bytes, bytes], identity: Identity, text: str) -> None:
    if message.client_id != identity.client_id:
        raise errors.IdentityMismatch("client_id is not the API key's client", "client_id")
    claimed = headers.get(b"x-client-id")
    if claimed is not None and claimed != message.client_id.encode():
        raise errors.IdentityMismatch("X-Client-ID is not the body's client_id", "X-Client-ID")
    sent = headers.get(b"x-signature")
    if sent is not None and sent != text.encode():
        raise errors.SignatureRefused("X-Signature is not the body's signature", "X-Signature")


def _check_signature(signed: bytes, text: str, public_key: bytes) -> bytes:
    try:
        signature = signing.decode_signature(text)
        signing.verify(signed, signature, public_key)
    except MalformedSignature as error:
        raise errors.MalformedSignatureProblem(str(error), "signature") from None
    except BadSignature as error:
        raise errors.SignatureRefused(str(error), "signature") from None
    return signature


def message_time_ms(message: messages.Message) -> int:
    """The client's time of a message: of a session report its end where it has one, else its start."""
    if isinstance(message, SessionReport):
        return message.end_time if isinstance(message.end_time, int) else message.start_time
    return message.timestamp


def check_age(kind: type[messages.Message], time_ms: int, now_ms: int) -> None:
    """Raise StaleTimestamp for a message from too far in the past or the future (DESIGN §2)."""
    if time_ms > now_ms + MAX_AHEAD_MS:
        raise errors.StaleTimestamp("the message is from the future; check the client's clock", "timestamp")
    if time_ms < now_ms - MAX_BEHIND_MS[kind]:
        raise errors.StaleTimestamp("the message is too old; check the client's clock", "timestamp")


def verify_get(target: str, headers: dict[bytes, bytes], identity: Identity, now_ms: int, *, strict: bool) -> None:
    """Check the signature of a GET (DESIGN §2).

    Args:
        target: the path with its query, as sent.
        strict: refuse requests without ``X-Timestamp``.

    Raises:
        MissingHeader, UnfitMessage, StaleTimestamp, MalformedSignatureProblem, SignatureRefused.
    """
    text = headers.get(b"x-signature")
    if text is None:
        raise errors.MissingHeader("X-Signature is missing", "X-Signature")
    timestamp = headers.get(b"x-timestamp")
    if timestamp is None and strict:
        raise errors.MissingHeader("X-Timestamp is missing", "X-Timestamp")
    if timestamp is not None:
        _check_get_time(timestamp, now_ms)
    stamp = None if timestamp is None else timestamp.decode("ascii")
    signed = signing.get_request_bytes(target, identity.client_id, stamp)
    _check_signature(signed, text.decode("latin-1"), identity.public_key)


def _check_get_time(timestamp: bytes, now_ms: int) -> None:
    if not timestamp.isdigit() or len(timestamp) > 15:
        raise errors.UnfitMessage("expected milliseconds since the epoch", "X-Timestamp")
    if abs(int(timestamp) - now_ms) > MAX_AHEAD_MS:
        raise errors.StaleTimestamp("the request is too far from the server's clock", "X-Timestamp")
