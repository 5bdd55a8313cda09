"""The keys of an installation: made at first start, read back afterwards, handed to the parts as paths."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from infra.durable_files import private_directory, write_atomically
from infra.errors import KeyFileInvalid

_KEY_BYTES = 32
# The longest that VIWORKS_TOKEN_LIFETIME_S can be.
_TOKEN_LIFE_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where the keys are. All but the two of the SOC are the server's own."""

    sql_token: Path
    token_keys: Path
    policy_key: Path
    pseudonym_key: Path
    storage_key: Path
    audit_key: Path
    sealing_public: Path
    sealing_private: Path

    def environment(self) -> dict[str, str]:
        """The variables by which the parts find their keys. The SOC's private key has none: no part may read it."""
        return {
            "VIWORKS_SQL_TOKEN_FILE": str(self.sql_token),
            "VIWORKS_TOKEN_KEYS_FILE": str(self.token_keys),
            "VIWORKS_POLICY_KEY_FILE": str(self.policy_key),
            "VIWORKS_PSEUDONYM_KEY_FILE": str(self.pseudonym_key),
            "VIWORKS_STORAGE_KEY_FILE": str(self.storage_key),
            "VIWORKS_SEALING_KEY_FILE": str(self.sealing_public),
        }

    def audit_environment(self) -> dict[str, str]:
        """The variable of the one part that signs the audit log's checkpoints."""
        return {"VIWORKS_AUDIT_KEY_FILE": str(self.audit_key)}


def ensure_keys(data_dir: Path) -> KeyFiles:
    """Make the keys that are missing under ``data_dir``, and the SOC's key pair beside it.

    Raises:
        KeyFileInvalid: a key file is empty, or the SOC's private key is there without its public half.
    """
    own = private_directory(data_dir / "secrets")
    files = _paths(data_dir, own)
    _ensure(files.sql_token, secrets.token_urlsafe(_KEY_BYTES))
    _ensure(files.token_keys, json.dumps([{"kid": secrets.token_hex(4), "key": _random_base64()}]))
    _ensure(files.policy_key, base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode())
    _ensure(files.pseudonym_key, _random_base64())
    _ensure(files.storage_key, secrets.token_hex(_KEY_BYTES))
    _ensure(files.audit_key, _random_base64())
    _ensure_sealing_pair(files)
    return files


def rotate_token_keys(data_dir: Path, now_ms: int, delay_s: float) -> str:
    """Put a new key in front of the token keys and return its id; it makes tokens after ``delay_s`` seconds.

    Keys that have not made a token for longer than any token lives are dropped.

    Raises:
        KeyFileInvalid: the file is missing or cannot be read.
    """
    path = data_dir / "secrets" / "token-keys.json"
    try:
        entries = json.loads(path.read_bytes())
        successors = [entry.get("active_from", 0) for entry in entries]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise KeyFileInvalid(f"{path} cannot be read: {type(error).__name__}.") from None
    # A key of the list is in use until the one before it takes over.
    of_use = [
        entry for number, entry in enumerate(entries) if not number or successors[number - 1] > now_ms - _TOKEN_LIFE_MS
    ]
    kid = secrets.token_hex(4)
    entry = {"kid": kid, "key": _random_base64(), "active_from": now_ms + int(delay_s * 1000)}
    write_atomically(path, json.dumps([entry, *of_use]).encode())
    return kid


def rotate_audit_key(data_dir: Path) -> None:
    """Replace the key that signs the audit log's checkpoints. The sink uses it from the next checkpoint on.

    The former key is gone for good; its public half stays in ``audit/public-keys``.

    Raises:
        KeyFileInvalid: there is no key to replace.
    """
    path = data_dir / "secrets" / "audit-signing.key"
    if not path.exists():
        raise KeyFileInvalid(f"{path} is missing: `viworks up` makes it.")
    write_atomically(path, _random_base64().encode())


def _paths(data_dir: Path, own: Path) -> KeyFiles:
    # The SOC's private half stands outside the data directory, so that a copy of the server's data never holds it.
    soc = data_dir.with_name(f"{data_dir.name}.soc")
    return KeyFiles(
        sql_token=own / "sql-token",
        token_keys=own / "token-keys.json",
        policy_key=own / "policy-signing.key",
        pseudonym_key=own / "pseudonym.key",
        storage_key=own / "storage.key",
        audit_key=own / "audit-signing.key",
        sealing_public=data_dir / "soc" / "sealing-public.pem",
        sealing_private=soc / "sealing-private.pem",
    )


def _ensure(path: Path, content: str) -> None:
    """Write ``content`` where ``path`` is missing. A key that is there is never replaced: data depend on it."""
    if not path.exists():
        write_atomically(path, content.encode())
    elif not path.stat().st_size:
        raise KeyFileInvalid(f"{path} is empty: restore it from a backup, or move the data directory aside.")


def _ensure_sealing_pair(files: KeyFiles) -> None:
    """Make the SOC's pair where it has none. The private half may have been moved away, as it should be."""
    if files.sealing_public.exists():
        return
    if files.sealing_private.exists():
        raise KeyFileInvalid(
            f"{files.sealing_private} is there but {files.sealing_public} is not: move the private key of the former "
            "data directory to the analyst's machine first."
        )
    private = X25519PrivateKey.generate()
    private_directory(files.sealing_private.parent)
    private_directory(files.sealing_public.parent)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomically(files.sealing_private, pem)
    write_atomically(
        files.sealing_public, private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def _random_base64() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
