"""A client's keys: encrypted on disk, rotated and renewed without ever being without a working one."""

from viworks.keys.boxes import DataBox
from viworks.keys.credentials import ApiKey, TlsPair
from viworks.keys.findings import KeyFinding, KeyFindingKind
from viworks.keys.protectors import KeyProtector, KeyringProtector, MachineProtector, PassphraseProtector
from viworks.keys.store import KeyStore

__all__ = [
    "ApiKey",
    "DataBox",
    "KeyFinding",
    "KeyFindingKind",
    "KeyProtector",
    "KeyStore",
    "KeyringProtector",
    "MachineProtector",
    "PassphraseProtector",
    "TlsPair",
]
