"""Who may ask: whoever knows the token, under any name, in any of the ways that ClickHouse's clients have."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

from sinks.errors import QueryRefused
from sinks.sql_port.guard import refusal

AUTHENTICATION_FAILED = 516
REQUIRED_PASSWORD = 194


def check_token(headers: Mapping[str, str], token: str) -> None:
    """Compare the password of a request with the token, in constant time. Headers are by lower-case name.

    Raises:
        QueryRefused: there is none, or another one.
    """
    presented = _password(headers)
    if presented is None:
        raise _denied(REQUIRED_PASSWORD, "REQUIRED_PASSWORD")
    if not hmac.compare_digest(presented.encode(), token.encode()):
        raise _denied(AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED")


def _password(headers: Mapping[str, str]) -> str | None:
    if "x-clickhouse-key" in headers:
        return headers["x-clickhouse-key"]
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        return _basic_password(credentials.strip())
    return None


def _basic_password(credentials: str) -> str:
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded.partition(":")[2]


def _denied(code: int, name: str) -> QueryRefused:
    return refusal(code, f"Authentication failed: password is incorrect, or there is no user with such name. ({name})")
