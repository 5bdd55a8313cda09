"""Keys and certificates of a client that is registered: rotation and renewal, each decided by the registry."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ingest.answer import SECRET, Answer
from ingest.api_keys import ApiKey, api_key
from ingest.edge import Edge
from ingest.errors import MalformedSignatureProblem, SignatureRefused, UnfitCertificateRequest, UnfitPublicKey
from ingest.extract import SignedRequest
from ingest.groups import Groups
from ingest.records import certificate_request_record, key_rotation_record
from ingest.registry_link import Verdict
from ingest.tokens import Identity
from ingest.verdicts import CREDENTIALS, refuse
from schemas import signing
from schemas.certificates import read_request
from schemas.errors import BadCertificateRequest, BadPublicKey, BadSignature, MalformedSignature
from schemas.messages import CertificateAnswer, CertificateRequest, KeyAnswer, KeyRotation


async def rotate_key(edge: Edge, request: SignedRequest[KeyRotation]) -> Answer:
    """200 with the new key's API key. The old key's stays good for the overlap.

    Raises:
        Problem: see ``verdicts.CREDENTIALS``; UnfitPublicKey, MalformedSignatureProblem, SignatureRefused.
    """
    public_key = _new_key(request)
    overlap_ms = edge.settings.key_overlap_s * 1000
    record = key_rotation_record(request, edge.name, edge.guard, public_key, overlap_ms)
    verdict = await edge.registry.ask("key_rotation", request.message.client_id, record)
    refuse(verdict, CREDENTIALS, request.message.client_id)
    successor = replace(request.identity, public_key=public_key, key_id=signing.key_id(public_key))
    granted = _granted(edge, successor, verdict, request.identity.thumbprint, request.received_ms)
    answer = KeyAnswer(
        client_id=successor.client_id,
        key_id=successor.key_id,
        api_key=granted.text,
        expires_at=granted.expires_at_ms,
        old_key_until=verdict.details["old_key_until"],
    )
    return Answer(200, msgspec.json.encode(answer), SECRET)


async def certify(edge: Edge, request: SignedRequest[CertificateRequest]) -> Answer:
    """200 with a TLS certificate and an API key that is bound to it.

    Raises:
        Problem: see ``verdicts.CREDENTIALS``; UnfitCertificateRequest.
    """
    try:
        read_request(request.message.csr)
    except BadCertificateRequest as error:
        raise UnfitCertificateRequest(str(error), "csr") from None
    record = certificate_request_record(request, edge.name, edge.guard)
    verdict = await edge.registry.ask("certificate_request", request.message.client_id, record)
    refuse(verdict, CREDENTIALS, request.message.client_id)
    granted = _granted(edge, request.identity, verdict, verdict.details["thumbprint"], request.received_ms)
    answer = CertificateAnswer(
        client_id=request.message.client_id,
        certificate=verdict.details["certificate"],
        api_key=granted.text,
        expires_at=granted.expires_at_ms,
    )
    return Answer(200, msgspec.json.encode(answer), SECRET)


def _new_key(request: SignedRequest[KeyRotation]) -> bytes:
    """The key that the request brings, once it has proved that its owner asks."""
    message = request.message
    try:
        public_key = signing.public_key_from_pem(message.public_key)
        proof = signing.decode_signature(message.proof)
        proved = signing.rotation_proof_bytes(message.client_id, request.identity.key_id, public_key, message.timestamp)
        signing.verify(proved, proof, public_key)
    except BadPublicKey as error:
        raise UnfitPublicKey(str(error), "public_key") from None
    except MalformedSignature as error:
        raise MalformedSignatureProblem(str(error), "proof") from None
    except BadSignature:
        raise SignatureRefused("the proof is not the new key's", "proof") from None
    return public_key


def _granted(edge: Edge, identity: Identity, verdict: Verdict, thumbprint: str, now_ms: int) -> ApiKey:
    details = verdict.details
    groups = Groups(frozenset(details["capabilities"]), details["node_id"], frozenset(details["labels"]))
    return api_key(
        edge,
        identity,
        key_epoch=verdict.key_epoch,
        thumbprint=thumbprint,
        groups=groups,
        key_since_ms=details["key_since"],
        now_ms=now_ms,
    )
