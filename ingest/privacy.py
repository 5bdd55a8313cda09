"""The privacy mode at work: what is sensitive is sealed, or refused, before anything is written (DESIGN §2)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ingest.errors import PlaintextRefused
from ingest.metrics import SEALED_VALUES
from schemas.privacy import PrivacyMode, is_truncated, period_key, pseudonym, truncate_address
from schemas.sealing import Place, SealingKey, is_envelope

_SEALED_MEMBERS = SEALED_VALUES.labels("member")
_SEALED_PROOFS = SEALED_VALUES.labels("signed_bytes")
_SEAL_IT = "seal the value with the SOC's present key before sending it"
_TRUNCATE_IT = "send the address's network alone, as 192.0.2.0 (/24) or 2001:db8:1:: (/48)"


@dataclass(frozen=True, slots=True)
class PrivacyGuard:
    """Turns sensitive values into envelopes and addresses into networks and pseudonyms.

    ``pseudonym_period_s``: after so long the same address gets another pseudonym; 0 for never.
    ``keep_heartbeat_proof``: whether the signed bytes of heartbeats are kept too.
    """

    mode: PrivacyMode
    sealing_key: SealingKey
    pseudonym_key: bytes
    pseudonym_period_s: int = 0
    keep_heartbeat_proof: bool = False

    def text(self, value: str, place: Place, member: str) -> str:
        """An envelope of a sensitive value; one that came sealed for the SOC's key stays as it is.

        Raises:
            PlaintextRefused: it is not such an envelope and the mode is ``strict``.
        """
        if is_envelope(value, self.sealing_key):
            return value
        self._refuse(member)
        _SEALED_MEMBERS.inc()
        return self.sealing_key.seal(value.encode(), place)

    def group(self, values: dict[str, str], place: Place, member: str) -> str:
        """One envelope of several sensitive values, as a JSON object by name. Raises PlaintextRefused as ``text``."""
        for name, value in values.items():
            if not is_envelope(value, self.sealing_key):
                self._refuse(f"{member}.{name}")
        _SEALED_MEMBERS.inc(sum(not is_envelope(value, self.sealing_key) for value in values.values()))
        return self.sealing_key.seal(msgspec.json.encode(values), place)

    def signed_bytes(self, signed: bytes, place: Place) -> tuple[bytes, bool]:
        """The signed bytes to keep, and whether they are sealed: in ``strict`` mode they hold no plaintext."""
        if self.mode is PrivacyMode.STRICT:
            return signed, False
        _SEALED_PROOFS.inc()
        return self.sealing_key.seal(signed, place).encode(), True

    def address(self, value: str | None, member: str, now_ms: int) -> tuple[str | None, str | None]:
        """The network and the pseudonym of an address, by the key of the time ``now_ms``.

        Raises:
            PlaintextRefused: it is more than a network and the mode is ``strict``, which keeps it in the signed bytes.
        """
        if value is None:
            return None, None
        if self.mode is PrivacyMode.STRICT and not is_truncated(value):
            raise PlaintextRefused(_TRUNCATE_IT, member)
        return truncate_address(value), pseudonym(value, self._key_of(now_ms))

    def _key_of(self, now_ms: int) -> bytes:
        if not self.pseudonym_period_s:
            return self.pseudonym_key
        return period_key(self.pseudonym_key, now_ms // (self.pseudonym_period_s * 1000))

    def _refuse(self, member: str) -> None:
        if self.mode is PrivacyMode.STRICT:
            raise PlaintextRefused(_SEAL_IT, member)
