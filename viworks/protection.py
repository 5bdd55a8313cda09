"""What is sensitive in a draft is sealed for the SOC, and addresses are cut, before it leaves. Pure, sealing aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.errors import ContractError
from schemas.messages import ClientConfig
from schemas.privacy import ADDRESSES, SENSITIVE, PrivacyMode, truncate_address
from schemas.sealing import Place, SealingKey
from viworks.drafts import CONTRACTS, Draft, DraftKind
from viworks.errors import AnswerNotTrusted

_PLACES: dict[DraftKind, str] = {"registration": "registration", "sessions": "session", "events": "event"}
_IDS: dict[DraftKind, str] = {"registration": "timestamp", "sessions": "session_id", "events": "event_id"}


@dataclass(frozen=True, slots=True)
class Protection:
    """How drafts are protected.

    Attributes:
        sealing_key: the SOC's; None while none is known: then the edge seals.
        strict: whether the server takes networks alone in place of addresses.
    """

    sealing_key: SealingKey | None = None
    strict: bool = False

    @classmethod
    def of(cls, config: ClientConfig, sealing_key: SealingKey | None = None) -> Protection:
        """As a configuration asks for, or with a key of the caller's. Raises AnswerNotTrusted."""
        try:
            key = sealing_key or SealingKey.from_pem(config.sealing_key.encode())
        except ContractError as error:
            raise AnswerNotTrusted(f"the server's sealing key cannot be used: {error}") from None
        return cls(key, config.privacy_mode == PrivacyMode.STRICT)

    @property
    def key_id(self) -> str | None:
        """Of the sealing key."""
        return self.sealing_key.key_id if self.sealing_key else None

    def sealed(self, kind: DraftKind, draft: Draft) -> Draft:
        """The draft with its sensitive members sealed.

        What is sealed for another key already is sealed once more: its plaintext is gone, a strict edge takes nothing that
        is sealed for a former key, and the SOC has both.
        """
        key = self.sealing_key
        if key is None:
            return draft
        for path in SENSITIVE[CONTRACTS[kind]]:
            _, _, leaf = path.partition(".")
            place = Place(draft["client_id"], f"{_PLACES[kind]}.{leaf}", str(draft[_IDS[kind]]))
            draft = _changed(draft, path, lambda value, place=place: key.seal(value.encode(), place))
        return draft

    def cut(self, kind: DraftKind, draft: Draft) -> Draft:
        """The draft with networks in place of addresses, where the server is strict.

        Any other server makes a pseudonym of the whole address and keeps its network.
        """
        for path in ADDRESSES.get(CONTRACTS[kind], ()) if self.strict else ():
            draft = _changed(draft, path, truncate_address)
        return draft


def _changed(draft: Draft, path: str, change: Any) -> Draft:
    group, _, leaf = path.partition(".")
    value = draft[group].get(leaf)
    return draft if value is None else {**draft, group: {**draft[group], leaf: change(value)}}
