"""Configuration and policies as a client gets them: signed by the server, with a strong ETag."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import msgspec

from ingest.settings import EdgeSettings
from schemas import signing
from schemas.messages import ClientConfig, Policy, PolicySet
from schemas.sealing import SealingKey

POLICY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A signed JSON body and its strong ETag (quoted, as the header has it)."""

    body: bytes
    etag: bytes


class Documents:
    """What the server tells its clients. One policy for all, from the settings."""

    def __init__(self, settings: EdgeSettings, sealing_key: SealingKey) -> None:
        seed = base64.b64decode(settings.policy_key_file.read_bytes())
        public_key = signing.public_key_of(seed)
        self.config = ClientConfig(
            heartbeat_interval=settings.heartbeat_interval_s,
            policy_version=POLICY_VERSION,
            sealing_key=sealing_key.pem(),
            sealing_key_id=sealing_key.key_id,
            policy_key=signing.public_key_to_pem(public_key),
            privacy_mode=settings.privacy_mode.value,
        )
        policy = Policy(
            policy_id="default",
            version=POLICY_VERSION,
            heartbeat_interval=settings.heartbeat_interval_s,
            reporting=["heartbeat", "sessions", "events"],
        )
        policies = PolicySet(
            policy_version=POLICY_VERSION, policies=[policy], key_id=signing.key_id(public_key), signature=""
        )
        self.signed_config = _sign(msgspec.to_builtins(self.config) | {"signature": ""}, seed)
        self.signed_policies = _sign(msgspec.to_builtins(policies), seed)


def _sign(document: dict[str, object], seed: bytes) -> Document:
    body, _ = signing.sign_body(msgspec.json.encode(document), seed)
    return Document(body, b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"')
