"""Who may ask: whoever knows a token, under any name, in the ways that ClickHouse's clients have.

A password in the URL, which ClickHouse takes too, is left out: URLs are written down along the way.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from sinks.errors import QueryRefused
from sinks.sql_port.guard import refusal
from sinks.sql_port.tokens import Bearer, TokenFile

AUTHENTICATION_FAILED = 516
REQUIRED_PASSWORD = 194


def bearer_of(headers: Mapping[str, str], tokens: TokenFile) -> Bearer:
    """Whose token a request brings as its password. Headers are by lower-case name.

    Raises:
        QueryRefused: there is none, or one of nobody.
        KeyFileUnusable: the file of tokens cannot be read.
    """
    presented = _password(headers)
    if presented is None:
        raise _denied(REQUIRED_PASSWORD, "REQUIRED_PASSWORD")
    bearer = tokens.bearer(presented)
    if bearer is None:
        raise _denied(AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED")
    return bearer


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
