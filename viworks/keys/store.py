"""The key store: a client's secrets, encrypted on disk, and the only way to change them."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from types import TracebackType

from msgspec.structs import replace

from viworks.errors import KeyFileError, KeysRolledBack, KeysTampered
from viworks.identity import Identity, read_plain_key
from viworks.keys import credentials
from viworks.keys.boxes import DataBox, derived_key
from viworks.keys.credentials import ApiKey, Credentials, TlsPair
from viworks.keys.directory import KEY_FILE, KeyDirectory, KeyPlace, newest_generation
from viworks.keys.findings import KeyFinding, KeyFindingKind
from viworks.keys.private_file import StoredBytes, erase
from viworks.keys.protectors import KeyProtector, MachineProtector, default_protector
from viworks.keys.sealed_file import Lock, read_header
from viworks.keys.versions import VersionWriter, history


class KeyStore:
    """A client's secrets. ``open`` for one on disk, ``in_memory`` for one that ends with the process.

    Every method that changes something has it on disk when it returns. Not for two threads at once.

    Attributes:
        findings: what the client should report about its files.
    """

    def __init__(self, state: Credentials, writer: VersionWriter | None, findings: tuple[KeyFinding, ...] = ()) -> None:
        """Use ``open`` or ``in_memory``."""
        self.state = state
        self.findings = findings
        self._writer = writer

    @classmethod
    def in_memory(cls, identity: Identity) -> KeyStore:
        """A store without files: for tests, and for simulated clients by the ten thousand."""
        return cls(credentials.made(identity.client_id, 0, identity.secret_key), None)

    @classmethod
    def open(
        cls,
        directory: str | Path,
        client_id: str,
        protector: KeyProtector | None = None,
        *,
        plain_key: str | Path | None = None,
        accept_rollback: bool = False,
        witness: StoredBytes | None = None,
    ) -> KeyStore:
        """Open the store of a directory, or make one with a new key.

        Args:
            directory: of this store alone; made with mode 0700.
            protector: by default the OS keyring where there is one, else a secret of the machine.
            plain_key: an unencrypted key file (PKCS #8 PEM) of ``Identity.load_or_create``: where there is no store yet,
                its key is taken over and the file erased.
            accept_rollback: take an older version than was here before, as after a backup was restored.
            witness: keeps the number of the newest version; by default a file beside the keys.

        Raises:
            KeysTampered, KeysRolledBack, KeysLocked, KeysUnsafe, KeysInUse, KeyFileError.
        """
        place, path = KeyDirectory(Path(directory), witness), Path(directory)
        return cls.open_at(place, client_id, protector or default_protector(path), plain_key, accept_rollback)

    @classmethod
    def open_at(
        cls,
        place: KeyPlace,
        client_id: str,
        protector: KeyProtector,
        plain_key: str | Path | None = None,
        accept_rollback: bool = False,
    ) -> KeyStore:
        """``open`` for files that are kept otherwise than in a directory."""
        try:
            return _opened(place, client_id, protector, plain_key, accept_rollback)
        except BaseException:
            place.close()
            raise

    @classmethod
    def start_over(cls, directory: str | Path, client_id: str, protector: KeyProtector | None = None) -> KeyStore:
        """Set a key file that ``open`` refused aside and make a new key, which an administrator must allow the client.

        Raises:
            KeysLocked, KeysUnsafe, KeysInUse, KeyFileError.
        """
        place, path = KeyDirectory(Path(directory)), Path(directory)
        try:
            place.set_aside()
            finding = KeyFinding(KeyFindingKind.REPLACED, f"{KEY_FILE} was refused; a new key took its place")
            lock = Lock.made(protector or default_protector(path))
            writer = VersionWriter(place, lock, _generation_or_zero(place.files.witness))
            return _created(credentials.made(client_id, _now_ms()), writer, (finding,))
        except BaseException:
            place.close()
            raise

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let another process open the store."""
        if self._writer is not None:
            self._writer.place.close()

    @property
    def client_id(self) -> str:
        return self.state.client_id

    @property
    def identity(self) -> Identity:
        """The key in force."""
        return Identity(self.state.client_id, self.state.seed)

    @property
    def key_since_ms(self) -> int:
        """When the key in force was made or took over, milliseconds since the epoch; 0 where that is not known."""
        return self.state.key_since_ms

    @property
    def pending_identity(self) -> Identity | None:
        """The key of a rotation whose end is not known: the server may have it in force already."""
        seed = self.state.pending_seed
        return None if seed is None else Identity(self.state.client_id, seed)

    @property
    def api_key(self) -> ApiKey | None:
        """The newest API key; where ``tls`` is set it counts on connections with that certificate alone."""
        return self.state.api_key

    @property
    def tls(self) -> TlsPair | None:
        """The TLS key and certificate in use."""
        return self.state.tls

    def data_box(self, label: str) -> DataBox:
        """Encryption for other files of the client. The same label gives the same key for as long as the store lives,
        whatever rotations and changes of the protector come between."""
        return DataBox(derived_key(self.state.master_key, label))

    def begin_rotation(self) -> Identity:
        """The pending key: that of a rotation whose end is not known, else a new one. Raises KeyFileError."""
        seed = self.state.pending_seed or secrets.token_bytes(credentials.KEY_BYTES)
        self.save(replace(self.state, pending_seed=seed))
        return Identity(self.state.client_id, seed)

    def remember_api_key(self, api_key: ApiKey) -> None:
        """Keep the API key of a registration with the key in force. Raises KeyFileError."""
        self.save(replace(self.state, api_key=api_key))

    def save(self, state: Credentials) -> None:
        """Make ``state`` the store's, on disk first. Raises KeyFileError; the store is then as it was."""
        if state == self.state:
            return
        if self._writer is not None:
            self._writer.write(state)
        self.state = state

    def protect(self, protector: KeyProtector) -> None:
        """Protect the store otherwise, such as by a new passphrase. Raises KeysLocked, KeyFileError."""
        if self._writer is not None:
            self._writer.protect(self.state, Lock.made(protector))


def _opened(
    place: KeyPlace, client_id: str, protector: KeyProtector, plain_key: str | Path | None, accept_rollback: bool
) -> KeyStore:
    content = place.files.keys.read()
    newest = newest_generation(place.files.witness)
    if content is None:
        if newest is not None and not accept_rollback:
            raise KeysRolledBack(f"{KEY_FILE} is missing, though it was here before")
        return _first(place, client_id, protector, plain_key, newest or 0)
    header = read_header(content)
    lock = Lock.of(header, protector)
    state = lock.open(content, KEY_FILE)
    if state.client_id != client_id:
        raise KeysTampered(f"{KEY_FILE} is another client's")
    _erase_taken_over(plain_key, state)
    findings = [*_exposed(place, protector), *history(header.generation, newest, accept_rollback)]
    writer = VersionWriter(place, lock, max(header.generation, newest or 0))
    return KeyStore(state, writer, tuple(findings))


def _first(
    place: KeyPlace, client_id: str, protector: KeyProtector, plain_key: str | Path | None, generation: int
) -> KeyStore:
    state, findings = credentials.made(client_id, _now_ms()), []
    if plain_key is not None and Path(plain_key).exists():
        state = credentials.made(client_id, 0, read_plain_key(Path(plain_key)))
        findings.append(KeyFinding(KeyFindingKind.PLAINTEXT, "the key lay unencrypted until now: rotate it"))
    lock = Lock.made(protector)
    findings += _exposed(place, protector)
    store = _created(state, VersionWriter(place, lock, generation), tuple(findings))
    _erase_taken_over(plain_key, state)
    return store


def _erase_taken_over(plain_key: str | Path | None, state: Credentials) -> None:
    """Only once the store has the key, and no other key than the store's: also at the next start after a crash."""
    if plain_key is None or not Path(plain_key).exists():
        return
    if read_plain_key(Path(plain_key)) == state.seed:
        erase(Path(plain_key))


def _created(state: Credentials, writer: VersionWriter, findings: tuple[KeyFinding, ...]) -> KeyStore:
    writer.write(state)
    return KeyStore(state, writer, findings)


def _exposed(place: KeyPlace, protector: KeyProtector) -> list[KeyFinding]:
    names = [*place.mended, *(protector.mended if isinstance(protector, MachineProtector) else ())]
    return [KeyFinding(KeyFindingKind.EXPOSED, f"others could read {name}") for name in names]


def _generation_or_zero(witness: StoredBytes) -> int:
    try:
        return newest_generation(witness) or 0
    except KeyFileError:
        return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
