"""What protects the key file: a passphrase, the OS keyring, or a secret of the machine.

Each turns parameters that stand in the file into the 32-byte key that opens it. What each is good for stands in
``docs/clients.md``; anything with these two methods and a ``kind`` will do, such as a TPM or a smart card.
"""

from __future__ import annotations

import base64
import importlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.pwhash import argon2id

from viworks.errors import KeysLocked, KeysTampered
from viworks.keys.private_file import PrivateFile

Parameters = Mapping[str, str | int]

KEY_BYTES = 32
SALT_BYTES = 16
KEYRING_SERVICE = "viworks"
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class KeyProtector(Protocol):
    """Gives the key that opens a key file."""

    @property
    def kind(self) -> str:
        """Stands in the file, so that the wrong kind is named in the error."""
        ...

    def make(self) -> Parameters:
        """Parameters for a new file; whatever secret they need is there when this returns."""
        ...

    def key(self, parameters: Parameters) -> bytes:
        """The 32-byte key of these parameters.

        Raises:
            KeysLocked: the secret is not there.
            KeysTampered: parameters that ``make`` never gives.
        """
        ...


class PassphraseProtector:
    """Argon2id (RFC 9106) of a passphrase; the default costs are libsodium's for interactive use, 64 MiB.

    Args:
        passphrase: as typed; UTF-8.
        ops, memory_bytes: the costs of new files. Those of a file are read from it, up to 1 GiB and 10 passes.
    """

    kind = "passphrase"
    _MOST_OPS, _MOST_MEMORY = 10, 1 << 30

    def __init__(
        self, passphrase: str, *, ops: int = argon2id.OPSLIMIT_INTERACTIVE, memory_bytes: int = argon2id.MEMLIMIT_INTERACTIVE
    ) -> None:
        self._passphrase = passphrase.encode()
        self._ops, self._memory_bytes = ops, memory_bytes

    def make(self) -> Parameters:
        return {"salt": _text(secrets.token_bytes(SALT_BYTES)), "ops": self._ops, "memory_bytes": self._memory_bytes}

    def key(self, parameters: Parameters) -> bytes:
        ops, memory = _number(parameters, "ops"), _number(parameters, "memory_bytes")
        # What costs the file asks for is known only to be genuine once the key is derived: bounded before.
        if not 1 <= ops <= self._MOST_OPS or not argon2id.MEMLIMIT_MIN <= memory <= self._MOST_MEMORY:
            raise KeysTampered("the key file asks for a key derivation out of bounds")
        salt = _bytes(parameters, "salt", SALT_BYTES)
        return bytes(argon2id.kdf(KEY_BYTES, self._passphrase, salt, opslimit=ops, memlimit=memory))


class KeyringProtector:
    """A random secret in the OS keyring (Secret Service, macOS Keychain, Windows Credential Manager).

    Args:
        keyring: the module ``keyring``, or anything with its ``get_password`` and ``set_password``.

    Raises:
        KeysLocked: the package ``keyring`` is not installed, or the system has no keyring.
    """

    kind = "keyring"

    def __init__(self, keyring: Any = None) -> None:
        self._keyring = keyring if keyring is not None else _installed_keyring()

    def make(self) -> Parameters:
        entry = secrets.token_hex(8)
        try:
            self._keyring.set_password(KEYRING_SERVICE, entry, _text(secrets.token_bytes(KEY_BYTES)))
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            raise KeysLocked(f"the keyring takes no secret: {type(error).__name__}") from None
        return {"entry": entry}

    def key(self, parameters: Parameters) -> bytes:
        entry = parameters.get("entry")
        if not isinstance(entry, str) or len(entry) != 16:
            raise KeysTampered("the key file names no entry of the keyring")
        try:
            text = self._keyring.get_password(KEYRING_SERVICE, entry)
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            raise KeysLocked(f"the keyring cannot be read: {type(error).__name__}") from None
        if text is None:
            raise KeysLocked("the keyring has no secret for this key file")
        return _bytes({"secret": text}, "secret", KEY_BYTES)


class MachineProtector:
    """A random secret in a file of its own, mixed with the machine's id.

    It keeps a copy of the key file alone, or one that was carried to another machine, from being opened. It keeps out
    neither root nor a program of the same user on this machine.

    Args:
        secret_file: made with mode 0600 where it is missing; best on another volume than the keys.
        machine_id: by default systemd's ``/etc/machine-id``, and nothing where there is none.
    """

    kind = "machine"

    def __init__(self, secret_file: str | Path, machine_id: bytes | None = None) -> None:
        self._file = PrivateFile(Path(secret_file))
        self._machine_id = _machine_id() if machine_id is None else machine_id

    @property
    def mended(self) -> tuple[str, ...]:
        """Names of what others could read until now."""
        return tuple(self._file.mended)

    def make(self) -> Parameters:
        if self._file.read() is None:
            self._file.write(_text(secrets.token_bytes(KEY_BYTES)).encode())
        return {"salt": _text(secrets.token_bytes(SALT_BYTES))}

    def key(self, parameters: Parameters) -> bytes:
        secret = self._file.read()
        if secret is None:
            raise KeysLocked("the machine's secret for this key file is missing")
        salt = _bytes(parameters, "salt", SALT_BYTES)
        hkdf = HKDF(SHA256(), KEY_BYTES, salt, b"viworks/keys/machine/v1\0" + self._machine_id)
        return hkdf.derive(secret)


def default_protector(directory: Path) -> KeyProtector:
    """The OS keyring where there is one, else the machine's secret in ``directory``."""
    try:
        return KeyringProtector()
    except KeysLocked:
        return MachineProtector(directory / "machine.secret")


def _installed_keyring() -> Any:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise KeysLocked("the package keyring is not installed") from None
    # A backend of priority 0 and less is "none at all" or one that keeps plaintext (keyring.backend.KeyringBackend).
    if keyring.get_keyring().priority <= 0:
        raise KeysLocked("this system has no keyring")
    return keyring


def _machine_id() -> bytes:
    for path in _MACHINE_IDS:
        try:
            return path.read_bytes().strip()
        except OSError:
            continue
    return b""


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


def _bytes(parameters: Parameters, name: str, length: int) -> bytes:
    try:
        value = base64.b64decode(str(parameters[name]), validate=True)
    except (KeyError, ValueError):
        value = b""
    if len(value) != length:
        raise KeysTampered(f"the key file's {name} is not what it was written with")
    return value


def _number(parameters: Parameters, name: str) -> int:
    value = parameters.get(name)
    return value if isinstance(value, int) else -1
