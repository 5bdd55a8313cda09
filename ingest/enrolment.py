"""Registration: by what leave a client may enrol, and the API key that it gets."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ingest.answer import SECRET, Answer
from ingest.api_keys import api_key
from ingest.edge import Edge
from ingest.errors import EnrolmentTokenRefused, IdentityMismatch, UnfitCertificateRequest, UnfitMessage
from ingest.extract import SignedRequest
from ingest.groups import Groups
from ingest.peer import PeerCertificate
from ingest.records import enrolment_claim_record, registration_record
from ingest.settings import EnrolmentMode
from ingest.verdicts import REGISTRATION, refuse
from schemas import enrolment_tokens
from schemas.certificates import read_request
from schemas.errors import BadCertificateRequest, BadEnrolmentToken
from schemas.messages import ClientRegistration, RegistrationAnswer

MAX_CAPABILITIES_BYTES = 2048
_PENDING_HEADERS = {b"retry-after": b"30"}


@dataclass(frozen=True, slots=True)
class Presented:
    """What a registration brings besides its body."""

    enrolment_token: bytes | None
    peer: PeerCertificate | None


async def register(edge: Edge, request: SignedRequest[ClientRegistration], presented: Presented) -> Answer:
    """201 with an API key and the configuration; 202 while an administrator has not approved the client.

    Raises:
        Problem: see ``verdicts.REGISTRATION``; UnfitMessage, UnfitCertificateRequest, IdentityMismatch.
    """
    _check(request.message, presented.peer)
    enrolment, labels = await _leave(edge, request, presented)
    record = registration_record(request, edge.name, edge.guard, enrolment, labels)
    verdict = await edge.registry.ask("registration", request.message.client_id, record)
    if verdict.outcome == "pending":
        body = {"client_id": request.message.client_id, "status": "pending"}
        return Answer(202, msgspec.json.encode(body), _PENDING_HEADERS)
    refuse(verdict, REGISTRATION, request.message.client_id)
    message, details = request.message, verdict.details
    groups = Groups(frozenset(message.capabilities), record["node_id"], frozenset(details.get("labels", ())))
    peer_thumbprint = presented.peer.thumbprint if presented.peer else ""
    granted = api_key(
        edge,
        request.identity,
        key_epoch=verdict.key_epoch,
        thumbprint=details.get("thumbprint", peer_thumbprint),
        groups=groups,
        key_since_ms=details.get("key_since", 0),
        now_ms=request.received_ms,
    )
    answer = RegistrationAnswer(
        client_id=message.client_id,
        api_key=granted.text,
        expires_at=granted.expires_at_ms,
        config=edge.standings.of(groups).config,
        certificate=details.get("certificate", msgspec.UNSET),
    )
    return Answer(201, msgspec.json.encode(answer), SECRET)


def _check(message: ClientRegistration, peer: PeerCertificate | None) -> None:
    if peer is not None and peer.client_id != message.client_id:
        raise IdentityMismatch("the TLS certificate is another client's", "client_id")
    if len(msgspec.json.encode(message.capabilities)) > MAX_CAPABILITIES_BYTES:
        raise UnfitMessage(f"they take up more than {MAX_CAPABILITIES_BYTES} bytes", "capabilities")
    if isinstance(message.csr, str):
        try:
            read_request(message.csr)
        except BadCertificateRequest as error:
            raise UnfitCertificateRequest(str(error), "csr") from None


async def _leave(edge: Edge, request: SignedRequest[ClientRegistration], presented: Presented) -> tuple[str, list[str]]:
    """By what the client may enrol, in the words of the ``registration`` record, and the labels that come with it."""
    if presented.enrolment_token is not None:
        return await _claim(edge, request, presented.enrolment_token)
    mode = edge.settings.enrolment_mode
    if mode is EnrolmentMode.TOKEN or (mode is EnrolmentMode.CERTIFICATE and presented.peer is None):
        return "", []
    return mode.value, []


async def _claim(edge: Edge, request: SignedRequest[ClientRegistration], text: bytes) -> tuple[str, list[str]]:
    try:
        token = enrolment_tokens.read(text.decode("ascii"))
    except (BadEnrolmentToken, UnicodeDecodeError):
        raise EnrolmentTokenRefused("it is not an enrolment token", "X-Enrolment-Token") from None
    record = enrolment_claim_record(request, edge.name, token.token_id, token.secret_hash)
    verdict = await edge.registry.ask("enrolment_claim", token.token_id, record)
    refuse(verdict, REGISTRATION, request.message.client_id)
    return f"token:{token.token_id}", list(verdict.details["labels"])
