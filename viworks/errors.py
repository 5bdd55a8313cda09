"""The client library's errors.

ClientError
├── KeyFileError         the key file cannot be read or is not one
│   ├── KeysTampered     its content was changed, or is another client's
│   ├── KeysRolledBack   it is an older one than was here before
│   ├── KeysLocked       the passphrase, keyring or machine secret does not open it
│   ├── KeysUnsafe       it is no file of this user's own
│   └── KeysInUse        another process has it open
├── DataTampered         data that were encrypted under a key of the store do not open
├── SpoolError           a message could not be put into the spool: it is not accepted
│   ├── SpoolInUse           another process has the spool open
│   ├── SpoolFailed          the disk does not take or give it
│   └── SpoolFull            the spool is full of messages that are graver
├── MessageInvalid       what the caller gave is not a message of the protocol
├── NotApproved          an administrator has not approved the registration yet
├── NoKeyStore           the call needs a client that keeps its keys in a store
├── Forked               a client was used in another process than the one that made it
├── Unreachable          no answer came; the same call may succeed later
│   ├── CircuitOpen          nothing was sent: the last calls failed, and the next may go after ``retry_after_s``
│   ├── AnswerLost           the request was sent, and the connection ended or the time was up before its answer had come
│   ├── NameNotResolved      no address of the server's name could be found
│   │   └── NoSuchName           its name service says that there is none
│   └── CertificateRefused   nothing was sent: the server's certificate is not of the deployment, for its name and in force
│       └── PinMismatch          nothing was sent: none of the server's keys is pinned
├── SettingsInvalid      a URL, pin, address or certificate that was given cannot be used
├── Refused              the server answered with a problem (RFC 9457); ``retryable`` says whether to try again
└── AnswerNotTrusted     an answer that is not signed by the server's policy key, or not of the protocol
    ├── SignatureWrong       it is not signed by the server's policy key
    └── DocumentOlder        it is signed, but older than one that was given before
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of every error that this package raises."""


class KeyFileError(ClientError):
    """The key file cannot be read or is not one."""


class KeysTampered(KeyFileError):
    """The key file was changed by somebody without its key, or it is another client's or was another file."""


class KeysRolledBack(KeyFileError):
    """The key file is genuine, but a newer one was here before."""


class KeysLocked(KeyFileError):
    """The passphrase, the keyring's secret or the machine's secret is missing or is not the one of this file."""


class KeysUnsafe(KeyFileError):
    """The path is a link, no regular file, too large, or belongs to another user."""


class KeysInUse(KeyFileError):
    """Another process has the keys open: two that rotate would lose one another's."""


class DataTampered(ClientError):
    """Data that were encrypted under a key of the store were changed, moved to another place, or are another client's."""


class SettingsInvalid(ClientError):
    """What the caller gave cannot be used."""


class SpoolError(ClientError):
    """A message could not be put into the spool: it was not accepted, nothing of it is kept."""


class SpoolInUse(SpoolError):
    """Another process, or another client of this one, has the spool open."""


class SpoolFailed(SpoolError):
    """The disk is full, cannot be written or cannot be read. Says which by SQLite's name of the error."""


class SpoolFull(SpoolError):
    """The spool is at its bound and holds nothing less grave that could make room."""


class MessageInvalid(ClientError):
    """What the caller gave is not a message of the protocol; ``member`` says where. The value is not repeated."""

    def __init__(self, detail: str, member: str = "") -> None:
        super().__init__(f"{member}: {detail}" if member else detail)
        self.member = member


class NotApproved(ClientError):
    """The registration waits for an administrator's approval: register again later."""


class NoKeyStore(ClientError):
    """An identity alone has no place for a new key or a certificate: give the client a ``KeyStore``."""


class Forked(ClientError):
    """A client belongs to the process that made it: its connections and files must not be shared with a child."""


class Unreachable(ClientError):
    """No answer came."""


class CircuitOpen(Unreachable):
    """Nothing was sent: the circuit breaker is open. ``retry_after_s`` is when to ask again, in seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the server has not answered for a while, so it is not asked now")
        self.retry_after_s = retry_after_s


class AnswerLost(Unreachable):
    """The request was sent, and no answer came: the server may have dealt with it, or have broken on it."""


class NameNotResolved(Unreachable):
    """No address of the server's name could be found."""


class NoSuchName(NameNotResolved):
    """The name service says that the server's name has no address: no other one is asked."""


class CertificateRefused(Unreachable):
    """The server's certificate is not of the deployment's authority, not for its name, or not in force. Nothing was sent.

    Attributes:
        host: the name that was asked for.
        reason: OpenSSL's words, such as ``self-signed certificate``.
    """

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"the certificate of {host} is refused: {reason}")
        self.host = host
        self.reason = reason


class PinMismatch(CertificateRefused):
    """The server's certificate is of the deployment's authority, but none of its chain's keys is pinned. Nothing was sent.

    Attributes:
        presented: the pins of the keys that were presented, leaf first.
    """

    def __init__(self, host: str, presented: tuple[str, ...]) -> None:
        super().__init__(host, "none of its keys is pinned")
        self.presented = presented


class AnswerNotTrusted(ClientError):
    """An answer whose signature does not verify, or that is not of the protocol."""


class SignatureWrong(AnswerNotTrusted):
    """A document that is not signed by the server's policy key."""


class DocumentOlder(AnswerNotTrusted):
    """A signed document that is older than one that was verified before."""


class Refused(ClientError):
    """The server answered with a problem.

    Attributes:
        status: the HTTP status.
        type: the problem's type, such as ``urn:viworks:problem:bad-signature``.
        retryable: whether the same request may succeed later.
        retry_after_s: what the server asks to wait, where it says so.
    """

    def __init__(self, status: int, type_: str, detail: str, retryable: bool, retry_after_s: float | None) -> None:
        super().__init__(f"{status} {type_}: {detail}")
        self.status = status
        self.type = type_
        self.detail = detail
        self.retryable = retryable
        self.retry_after_s = retry_after_s
