"""Version after version of the key file: a witness keeps the number of the newest, so that an older file is noticed."""

from __future__ import annotations

from viworks.errors import KeysRolledBack
from viworks.keys.credentials import Credentials
from viworks.keys.directory import KEY_FILE, KeyPlace
from viworks.keys.findings import KeyFinding, KeyFindingKind
from viworks.keys.sealed_file import Lock


class VersionWriter:
    """Writes first the keys, then their number: after a crash between the two the file is one ahead."""

    def __init__(self, place: KeyPlace, lock: Lock, generation: int) -> None:
        self.place = place
        self._lock = lock
        self._generation = generation

    def write(self, state: Credentials) -> None:
        """Raises KeyFileError."""
        self.protect(state, self._lock)

    def protect(self, state: Credentials, lock: Lock) -> None:
        """Write under another lock, from now on. Raises KeyFileError."""
        generation = self._generation + 1
        self._generation = generation  # also where a write fails: no number ever stands for two versions
        self.place.files.keys.write(lock.seal(state, KEY_FILE, generation))
        self._lock = lock
        self.place.files.witness.write(str(generation).encode())


def history(generation: int, newest: int | None, accept_rollback: bool) -> list[KeyFinding]:
    """What a file's number says beside the witness's. Raises KeysRolledBack where it is an older one."""
    if newest is None:  # after a crash within the very first write it was never there
        gone = KeyFinding(KeyFindingKind.UNWITNESSED, "the record of the newest key file is gone")
        return [gone] if generation > 1 else []
    if generation >= newest:
        return []
    if not accept_rollback:
        raise KeysRolledBack(f"{KEY_FILE} is version {generation}, but version {newest} was here before")
    return [KeyFinding(KeyFindingKind.ROLLED_BACK, f"{KEY_FILE} version {generation} taken after version {newest}")]
