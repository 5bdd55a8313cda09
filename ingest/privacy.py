"""The privacy mode at work: what is sensitive is sealed, or refused, before anything is written (DESIGN §2)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ingest.errors import PlaintextRefused
from schemas.privacy import PrivacyMode, pseudonym, truncate_address
from schemas.sealing import Place, SealingKey, is_envelope


@dataclass(frozen=True, slots=True)
class PrivacyGuard:
    """Turns sensitive values into envelopes and addresses into networks and pseudonyms."""

    mode: PrivacyMode
    sealing_key: SealingKey
    pseudonym_key: bytes

    def text(self, value: str, place: Place, member: str) -> str:
        """An envelope of a sensitive value; one that came sealed stays as it is.

        Raises:
            PlaintextRefused: it is not an envelope and the mode is ``strict``.
        """
        if is_envelope(value):
            return value
        self._refuse(member)
        return self.sealing_key.seal(value.encode(), place)

    def group(self, values: dict[str, str], place: Place, member: str) -> str:
        """One envelope of several sensitive values, as a JSON object by name. Raises PlaintextRefused as ``text``."""
        for name, value in values.items():
            if not is_envelope(value):
                self._refuse(f"{member}.{name}")
        return self.sealing_key.seal(msgspec.json.encode(values), place)

    def signed_bytes(self, signed: bytes, place: Place) -> tuple[bytes, bool]:
        """The signed bytes to keep, and whether they are sealed: in ``strict`` mode they hold no plaintext."""
        if self.mode is PrivacyMode.STRICT:
            return signed, False
        return self.sealing_key.seal(signed, place).encode(), True

    def address(self, value: str | None) -> tuple[str | None, str | None]:
        """The network and the pseudonym of an address."""
        if value is None:
            return None, None
        return truncate_address(value), pseudonym(value, self.pseudonym_key)

    def _refuse(self, member: str) -> None:
        if self.mode is PrivacyMode.STRICT:
            raise PlaintextRefused("seal the value for the SOC before sending it", member)
