"""The client library's errors.

ClientError
├── KeyFileError         the key file cannot be read or is not one
├── Unreachable          no answer came; the same call may succeed later
├── Refused              the server answered with a problem (RFC 9457); ``retryable`` says whether to try again
└── AnswerNotTrusted     an answer that is not signed by the server's policy key, or not of the protocol
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of every error that this package raises."""


class KeyFileError(ClientError):
    """The key file cannot be read or is not one."""


class Unreachable(ClientError):
    """No answer came."""


class AnswerNotTrusted(ClientError):
    """An answer whose signature does not verify, or that is not of the protocol."""


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
