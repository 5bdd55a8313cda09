"""Reading what the server answers: problems, documents, and whether it was the server that signed them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from schemas import signing
from schemas.errors import ContractError
from viworks.errors import AnswerNotTrusted, Refused, SignatureWrong
from viworks.transport import Response

PROBLEM = "urn:viworks:problem:"
INVALID_API_KEY = f"{PROBLEM}invalid-api-key"
KEY_SUPERSEDED = f"{PROBLEM}key-superseded"
CERTIFICATE_REQUIRED = f"{PROBLEM}certificate-required"
REQUEST_REPLAYED = f"{PROBLEM}request-replayed"
REGISTRATION_REPLAYED = f"{PROBLEM}registration-replayed"
STALE_TIMESTAMP = f"{PROBLEM}stale-timestamp"
BODY_TOO_LARGE = f"{PROBLEM}body-too-large"
BAD_SIGNATURE = f"{PROBLEM}bad-signature"
PLAINTEXT_REFUSED = f"{PROBLEM}plaintext-refused"
SCOPE_REFUSED = f"{PROBLEM}scope-refused"

_LONGEST = 256
T = TypeVar("T")


class _Problem(msgspec.Struct):
    type: str = "about:blank"
    detail: str = ""
    retryable: bool | None = None


def accepted(response: Response) -> Response:
    """The response, if it is a success or says that nothing changed. Raises Refused."""
    if response.status < 300 or response.status == 304:
        return response
    try:
        problem = msgspec.json.decode(response.body, type=_Problem)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        problem = _Problem()
    retryable = response.status >= 500 if problem.retryable is None else problem.retryable
    retry_after = response.headers.get("retry-after", "")
    raise Refused(
        response.status,
        problem.type[:_LONGEST],
        problem.detail[:_LONGEST],
        retryable,
        float(retry_after[:9]) if retry_after.isascii() and retry_after.isdigit() else None,
    )


def read(body: bytes, kind: type[T]) -> T:
    """Decode an answer. Raises AnswerNotTrusted where it is not of the protocol."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise AnswerNotTrusted("the answer is not of the protocol") from None


def trusted(body: bytes, policy_key_pem: str, kind: type[T]) -> T:
    """Decode a document that the server's policy key has signed. Raises SignatureWrong, AnswerNotTrusted."""
    try:
        public_key = signing.public_key_from_pem(policy_key_pem)
        signed, text = signing.signed_bytes(body)
        signing.verify(signed, signing.decode_signature(text), public_key)
    except ContractError as error:
        raise SignatureWrong(f"the server's signature does not hold: {error}") from None
    return read(body, kind)
