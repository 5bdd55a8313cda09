"""What the edge refuses, and how it says so: RFC 9457 problem details with stable types.

    EdgeError
    ├── PrivateKeyFound                the SOC's private key lies on the server, which therefore does not start
    ├── TlsFilesUnusable               certificate, key, authorities or revocation list cannot be used
    ├── TokenError                     an API key that does not count (becomes InvalidApiKey)
    ├── FollowerStalled                a topic that every edge must know cannot be read; retryable by a new start
    └── Problem                        has an HTTP status and a type; ``retryable`` says whether the same request may succeed
        ├── NotFound 404, MethodNotAllowed 405
        ├── MalformedHttp 400, RequestTimeout 408, ExpectationFailed 417, HeaderTooLarge 431, UnsupportedCoding 501,
        │   UnsupportedVersion 505, CertificateRefused 403
        ├── Throttled: TooManyRequests 429, Overloaded 503
        ├── UnsupportedMediaType 415, BodyTooLarge 413
        ├── MissingApiKey 401, InvalidApiKey 401, MissingHeader 400, IdentityMismatch 403, ScopeRefused 403
        ├── MalformedJson 400, RepeatedKey 400, UnfitMessage 422, PlaintextRefused 422
        ├── MalformedSignatureProblem 400, SignatureRefused 401, UnfitPublicKey 422, StaleTimestamp 422
        ├── CertificateRequired 403, ClientRevoked 403, EnrolmentRequired 403, EnrolmentTokenRefused 403
        ├── UnfitCertificateRequest 422
        ├── IdentityConflict 409, RegistrationReplayed 409, KeySuperseded 409, RequestReplayed 409
        └── BrokerUnavailable 503, RegistryUnavailable 503, CertificateUnavailable 503

A problem's text names the fault and the member. It never repeats a value from the request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import msgspec

TYPE_PREFIX = "urn:viworks:problem:"
MEDIA_TYPE = b"application/problem+json"


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What went wrong (RFC 9457). ``type`` is stable; ``retryable`` says whether the same request may succeed later.

    ``member`` names the member of the body or the header that is at fault. No value of the request is ever repeated.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    member: str = ""
    retryable: bool


class EdgeError(Exception):
    """Base of every error that this package raises."""


class PrivateKeyFound(EdgeError):
    """The SOC's private key lies where the server can read it."""


class TokenError(EdgeError):
    """The API key is not one of ours, or no longer counts."""


class FollowerStalled(EdgeError):
    """A topic whose content every edge must know cannot be read in time."""


class TlsFilesUnusable(EdgeError):
    """The files of the TLS listener cannot be used; says which and why."""


class Problem(EdgeError):
    """An answer other than success.

    Args:
        detail: one sentence for whoever reads the client's log.
        member: the member of the message or the header that is at fault, where there is one.
        client_id: whom a request without an API key is about, where its body says so.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False
    headers: ClassVar[Mapping[bytes, bytes]] = {}

    def __init__(self, detail: str = "", member: str = "", client_id: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.member = member
        self.client_id = client_id
        self.answer_headers: Mapping[bytes, bytes] = self.headers

    def body(self) -> bytes:
        """The problem document."""
        document = ProblemDocument(
            type=TYPE_PREFIX + self.slug,
            title=self.title,
            status=self.status,
            detail=self.detail,
            member=self.member,
            retryable=self.retryable,
        )
        return msgspec.json.encode(document)


class NotFound(Problem):
    status, slug, title = 404, "not-found", "No such resource"


class MethodNotAllowed(Problem):
    """``allowed`` goes into the answer's Allow header (RFC 9110, 15.5.6)."""

    status, slug, title = 405, "method-not-allowed", "The method is not allowed here"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this resource takes {allowed}")
        self.answer_headers = {b"allow": allowed.encode()}


class MalformedHttp(Problem):
    status, slug, title = 400, "malformed-http", "The request is not HTTP/1.1 as it should be"


class RequestTimeout(Problem):
    status, slug, title, retryable = 408, "request-timeout", "The request took too long to arrive", True


class ExpectationFailed(Problem):
    status, slug, title = 417, "expectation-failed", "The only expectation that can be met is 100-continue"


class HeaderTooLarge(Problem):
    status, slug, title = 431, "header-too-large", "The header is too large"


class UnsupportedCoding(Problem):
    status, slug, title = 501, "unsupported-transfer-coding", "The only transfer coding is chunked"


class UnsupportedVersion(Problem):
    status, slug, title = 505, "unsupported-http-version", "The versions are HTTP/1.1 and HTTP/1.0"


class CertificateRefused(Problem):
    status, slug, title = 403, "certificate-refused", "The client certificate cannot be accepted"


class Throttled(Problem):
    """The same request may succeed after ``retry_after_s`` seconds (rounded up in the answer)."""

    retryable = True

    def __init__(self, detail: str, retry_after_s: float, headers: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__(detail)
        self.answer_headers = {b"retry-after": str(math.ceil(retry_after_s)).encode(), **(headers or {})}


class TooManyRequests(Throttled):
    status, slug, title = 429, "rate-limited", "Too many requests"


class Overloaded(Throttled):
    status, slug, title = 503, "overloaded", "The server has too much under way"


class UnsupportedMediaType(Problem):
    status, slug, title = 415, "unsupported-media-type", "The body must be application/json"


class BodyTooLarge(Problem):
    status, slug, title = 413, "body-too-large", "The body is too large"
    headers: ClassVar[Mapping[bytes, bytes]] = {b"connection": b"close"}


class MissingApiKey(Problem):
    status, slug, title = 401, "missing-api-key", "The API key is missing"
    headers: ClassVar[Mapping[bytes, bytes]] = {b"www-authenticate": b"Bearer"}


class InvalidApiKey(Problem):
    """The client's mend is to register again."""

    status, slug, title = 401, "invalid-api-key", "The API key is not valid"
    headers: ClassVar[Mapping[bytes, bytes]] = {b"www-authenticate": b'Bearer error="invalid_token"'}


class MissingHeader(Problem):
    status, slug, title = 400, "missing-header", "A header is missing"


class IdentityMismatch(Problem):
    status, slug, title = 403, "identity-mismatch", "The identities of the request do not agree"


class ScopeRefused(Problem):
    status, slug, title = 403, "scope-refused", "The API key does not allow this call"


class MalformedJson(Problem):
    status, slug, title = 400, "malformed-json", "The body is not a JSON object"


class RepeatedKey(Problem):
    status, slug, title = 400, "duplicate-key", "A member stands twice in the body"


class UnfitMessage(Problem):
    status, slug, title = 422, "invalid-message", "The body is not a message of this endpoint"


class PlaintextRefused(Problem):
    status, slug, title = 422, "plaintext-refused", "A sensitive member is not sealed"


class MalformedSignatureProblem(Problem):
    status, slug, title = 400, "malformed-signature", "The signature is not 64 bytes in hexadecimal or base64"


class SignatureRefused(Problem):
    status, slug, title = 401, "bad-signature", "The signature does not verify"


class UnfitPublicKey(Problem):
    status, slug, title = 422, "bad-public-key", "The public key cannot be accepted"


class StaleTimestamp(Problem):
    status, slug, title = 422, "stale-timestamp", "The timestamp is too far from the server's clock"


class IdentityConflict(Problem):
    status, slug, title = 409, "identity-conflict", "The client id is registered with another key"


class RegistrationReplayed(Problem):
    status, slug, title = 409, "registration-replayed", "A registration counts once; sign a newer one"


class KeySuperseded(Problem):
    status, slug, title = 409, "key-superseded", "Only the key in force can do this"


class RequestReplayed(Problem):
    status, slug, title = 409, "request-replayed", "The request counts once; sign a newer one"


class CertificateRequired(Problem):
    status, slug, title = 403, "certificate-required", "This call needs a TLS client certificate"


class ClientRevoked(Problem):
    status, slug, title = 403, "client-revoked", "An administrator has shut this client out"


class EnrolmentRequired(Problem):
    status, slug, title = 403, "enrolment-required", "An unknown client needs leave to enrol"


class EnrolmentTokenRefused(Problem):
    status, slug, title = 403, "enrolment-token-refused", "The enrolment token does not count"


class UnfitCertificateRequest(Problem):
    status, slug, title = 422, "bad-certificate-request", "The certificate request cannot be accepted"


class BrokerUnavailable(Problem):
    status, slug, title, retryable = 503, "broker-unavailable", "The message cannot be stored now", True
    headers: ClassVar[Mapping[bytes, bytes]] = {b"retry-after": b"5"}


class RegistryUnavailable(Problem):
    status, slug, title, retryable = 503, "registry-unavailable", "The registry does not answer now", True
    headers: ClassVar[Mapping[bytes, bytes]] = {b"retry-after": b"5"}


class CertificateUnavailable(Problem):
    status, slug, title, retryable = 503, "certificate-unavailable", "No certificate can be issued now", True
    headers: ClassVar[Mapping[bytes, bytes]] = {b"retry-after": b"30"}
