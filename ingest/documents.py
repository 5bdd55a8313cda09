"""Configuration and policies as a client gets them: signed by the server, with a strong ETag."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import msgspec

from ingest.policies import Effective
from ingest.settings import EdgeSettings
from schemas import signing
from schemas.messages import ClientConfig, PolicySet
from schemas.sealing import SealingKey


@dataclass(frozen=True, slots=True)
class Document:
    """A signed JSON body and its strong ETag (quoted, as the header has it).

    Ed25519 is deterministic, so every edge gives the same content the same tag.
    """

    body: bytes
    etag: bytes

    def is_known(self, if_none_match: bytes | None) -> bool:
        """Whether the header ``If-None-Match`` names it (weak comparison, RFC 9110 §13.1.2)."""
        tags = [tag.strip().removeprefix(b"W/") for tag in (if_none_match or b"").split(b",")]
        return self.etag in tags or b"*" in tags


class Documents:
    """Makes the documents, signed with the server's policy key."""

    def __init__(self, settings: EdgeSettings, sealing_key: SealingKey) -> None:
        self._seed = base64.b64decode(settings.policy_key_file.read_bytes())
        self._public_key = signing.public_key_of(self._seed)
        self._sealing_key = sealing_key
        self._privacy_mode = settings.privacy_mode.value

    def config(self, effective: Effective) -> ClientConfig:
        """The configuration of a client for whom these policies hold."""
        return ClientConfig(
            heartbeat_interval=effective.interval_s,
            policy_version=effective.version,
            sealing_key=self._sealing_key.pem(),
            sealing_key_id=self._sealing_key.key_id,
            policy_key=signing.public_key_to_pem(self._public_key),
            privacy_mode=self._privacy_mode,
        )

    def signed_config(self, effective: Effective) -> Document:
        """The same, signed."""
        return self._signed(msgspec.to_builtins(self.config(effective)) | {"signature": ""})

    def signed_policies(self, effective: Effective) -> Document:
        """The policies, signed."""
        policies = PolicySet(
            policy_version=effective.version,
            policies=list(effective.policies),
            key_id=signing.key_id(self._public_key),
            signature="",
        )
        return self._signed(msgspec.to_builtins(policies))

    def _signed(self, document: dict[str, object]) -> Document:
        body, _ = signing.sign_body(msgspec.json.encode(document), self._seed)
        return Document(body, b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"')
