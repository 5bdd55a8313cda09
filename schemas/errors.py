"""The error tree of the contract.

    ContractError
    ├── MessageError                a body that is not a message of the protocol
    │   ├── NotJson                 not one JSON object in UTF-8
    │   ├── DuplicateKey            a member name that stands twice in one object
    │   └── InvalidMessage          JSON, but not of the message's shape; names the member
    ├── SignatureError
    │   ├── MalformedSignature      neither hex nor base64 of 64 bytes
    │   ├── BadSignature            does not verify
    │   └── BadPublicKey            not an Ed25519 key, or one of small order
    ├── BadCertificateRequest       a PKCS #10 request that no authority should sign
    ├── BadEnrolmentToken           a text that is no enrolment token
    ├── SealingError                an envelope that cannot be made or opened
    └── CodecError                  a value that is not in the wire format, or of an unknown schema

No message of these errors repeats a value from the input: they name members, types and limits only.
"""

from __future__ import annotations


class ContractError(Exception):
    """Base of every error that this package raises."""


class MessageError(ContractError):
    """A body that is not a message of the protocol."""


class NotJson(MessageError):
    """The body is not one JSON object in UTF-8."""


class DuplicateKey(MessageError):
    """A member name stands twice in one object, so that two readers could disagree about its value."""


class InvalidMessage(MessageError):
    """The body is JSON but not of the message's shape.

    Args:
        detail: what is expected, without the value that was found.
        member: where, as a path such as ``metrics.cpu_usage``; empty for the whole body.
    """

    def __init__(self, detail: str, member: str = "") -> None:
        super().__init__(f"{member}: {detail}" if member else detail)
        self.detail = detail
        self.member = member


class SignatureError(ContractError):
    """A signature or a key that cannot be accepted."""


class MalformedSignature(SignatureError):
    """The text is neither hexadecimal nor base64 of 64 bytes."""


class BadSignature(SignatureError):
    """The signature does not verify under the key."""


class BadPublicKey(SignatureError):
    """The key is not an Ed25519 public key, or is one under which forgeries exist (small order)."""


class BadCertificateRequest(ContractError):
    """A PKCS #10 request that no authority should sign."""


class BadEnrolmentToken(ContractError):
    """A text that is no enrolment token."""


class SealingError(ContractError):
    """An envelope that cannot be made or opened."""


class CodecError(ContractError):
    """A value that is not in the wire format, or names a schema that nobody knows."""
