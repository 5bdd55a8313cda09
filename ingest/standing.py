"""What an edge tells clients for whom the same policies hold: computed once, sent often."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec

from ingest.answer import Answer
from ingest.documents import Document, Documents
from ingest.policies import Effective
from schemas.messages import ClientConfig

ROTATION_DUE = b"x-key-rotation"


class Standing:
    """The answers for the clients of a standing.

    Attributes:
        terms: what is stamped on their heartbeats.
        headers: of every answer that depends on the policies.
        config: as it stands in the answer to a registration.
    """

    def __init__(self, effective: Effective, documents: Documents) -> None:
        version = str(effective.version).encode()
        self.terms = effective.terms
        body = msgspec.json.encode({"status": "accepted", "policy_version": effective.version})
        self.headers: Mapping[bytes, bytes] = {b"x-policy-version": version}
        self.config: ClientConfig = documents.config(effective)
        self._heard = Answer(202, body, self.headers)
        self._heard_and_due = Answer(202, body, {**self.headers, ROTATION_DUE: b"due"})
        self._key_max_age_ms = (effective.key_max_age_s or 0) * 1000
        self._effective = effective
        self._documents = documents

    def heartbeat_answer(self, key_since_ms: int, now_ms: int) -> Answer:
        """The answer to a heartbeat: it names the policy version; a key older than the policy allows is to be rotated.

        Args:
            key_since_ms: since when the client has its key; 0 where that is not known.
        """
        due = self._key_max_age_ms and key_since_ms and now_ms - key_since_ms > self._key_max_age_ms
        return self._heard_and_due if due else self._heard

    @cached_property
    def signed_config(self) -> Document:
        return self._documents.signed_config(self._effective)

    @cached_property
    def signed_policies(self) -> Document:
        return self._documents.signed_policies(self._effective)
