"""The verdict on one row. Pure: rows come as the SQL answer has them, bytes in hexadecimal, times in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas import signing
from schemas.errors import BadSignature, MessageError, SealingError
from schemas.messages import decode_message
from schemas.sealing import key_id_of, open_envelope
from sinks.proof.columns import KINDS, Kind, Row, first_difference
from sinks.proof.keys import KeyHistory
from sinks.proof.soc import SocKey


class Outcome(StrEnum):
    """How much of a row could be proved."""

    PROVED = "proved"
    SEALED = "sealed: needs the SOC's key"
    UNSIGNED = "not signed: the server's own"
    NOT_KEPT = "no signed bytes were kept"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fault`` says what is wrong, without a value; ``sealed_columns`` could not be compared without the SOC's key."""

    outcome: Outcome
    fault: str = ""
    sealed_columns: tuple[str, ...] = ()


class Verifier:
    """Judges rows by the history of keys, and where there is one by the SOC's key."""

    def __init__(self, history: KeyHistory, soc_key: SocKey | None) -> None:
        self._history = history
        self._soc_key = soc_key

    def judge(self, table: str, row: Row) -> Verdict:
        """The verdict on a row of one of ``KINDS``."""
        if row.get("origin") == "edge":
            return _unsigned(row)
        if row["signed_bytes"] is None:
            return Verdict(Outcome.NOT_KEPT)
        kind = KINDS[table]
        try:
            public_key = self._key_of(table, row)
            signed = self._signed_bytes(kind, row)
            if signed is None:
                return Verdict(Outcome.SEALED)
            _verify(signed, bytes.fromhex(row["signature"]), public_key)
            return self._compare(kind, row, signed)
        except _Fault as fault:
            return Verdict(Outcome.FAULT, str(fault))

    def _key_of(self, table: str, row: Row) -> bytes:
        if table == "registrations":  # signed by the key that it brings, also where the registry refused it
            public_key = bytes.fromhex(row["public_key"])
            if signing.key_id(public_key) != row["key_id"]:
                raise _Fault("key_id is not that of public_key")
            return public_key
        found = self._history.public_key(row["client_id"], row["key_id"])
        if found is None:
            raise _Fault("key_id is no key that the client ever had")
        if not self._history.was_in_force(row["client_id"], row["key_id"], row["received_at"]):
            raise _Fault("key_id was not the client's key at received_at")
        return found

    def _signed_bytes(self, kind: Kind, row: Row) -> bytes | None:
        """None where only another key opens them."""
        kept = bytes.fromhex(row["signed_bytes"])
        if not row["signed_bytes_sealed"]:
            return kept
        text = kept.decode(errors="replace")
        sealed_for = key_id_of(text)
        if sealed_for is None:
            raise _Fault("signed_bytes is no envelope")
        if self._soc_key is None or sealed_for != self._soc_key.key_id:
            return None
        try:
            return open_envelope(text, kind.place_of(row, "signed_bytes"), self._soc_key.private_key)
        except SealingError:
            raise _Fault("signed_bytes does not open: it is another row's, or was changed") from None

    def _compare(self, kind: Kind, row: Row, signed: bytes) -> Verdict:
        try:
            message: Any = decode_message(signed, kind.message)
        except MessageError:
            raise _Fault("signed_bytes is no message of this kind") from None
        different, sealed_columns = first_difference(kind, row, message, self._soc_key)
        if different:
            raise _Fault(f"{different} is not what was signed")
        return Verdict(Outcome.PROVED, sealed_columns=sealed_columns)


class _Fault(Exception):
    """Ends the judgement of a row; the text is the verdict's."""


def _unsigned(row: Row) -> Verdict:
    """An event that the edge saw. A client's that was relabelled still has its proof."""
    if row["signature"] or row["signed_bytes"] or row["key_id"]:
        return Verdict(Outcome.FAULT, "origin is edge, yet somebody signed")
    return Verdict(Outcome.UNSIGNED)


def _verify(signed: bytes, signature: bytes, public_key: bytes) -> None:
    try:
        signing.verify(signed, signature, public_key)
    except BadSignature:
        raise _Fault("signature does not verify") from None
