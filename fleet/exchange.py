"""A request under way, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fleet.client import SimulatedClient
from viworks.backoff import retry_after_ms
from viworks.breaker import Permit
from viworks.delivery import may_have_broken

_TYPE_PREFIX = "urn:viworks:problem:"
_HEADER = re.compile(rb"\r\n([A-Za-z0-9-]{1,64}):[ \t]*([^\r\n]{0,1024})")


@dataclass(slots=True)
class Exchange:
    """What a request was.

    Attributes:
        kind: heartbeat, events, sessions, batch, register or hostile.
        due_ms: when it was to be sent; latency counts from here, so that a client which had to wait is not left out.
        sent_ms: when it was written to a connection.
        again: whether it is a further attempt.
        payload: the messages that it carried, for those that must not be lost.
    """

    client: SimulatedClient
    kind: str
    due_ms: float
    sent_ms: float = 0.0
    again: bool = False
    permit: Permit | None = None
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``head`` and ``body`` as they came. ``sent``: whether the server may have seen the request."""

    status: int
    head: bytes
    body: bytes
    sent: bool = True

    @property
    def broken(self) -> bool:
        """Whether the server may have broken on the request."""
        return may_have_broken(self.status) if self.status else self.sent

    def headers(self) -> Mapping[str, str]:
        """By names in lower case."""
        return {name.decode().lower(): value.decode("latin-1").strip() for name, value in _HEADER.findall(self.head)}

    def retry_after_ms(self, now_ms: int) -> int | None:
        """What the server asks to wait; None where it does not."""
        return retry_after_ms(self.headers(), now_ms)

    def problem(self) -> str:
        """The problem's type without its prefix; empty for a success."""
        if self.status < 300:
            return ""
        try:
            document = msgspec.json.decode(self.body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return "not-a-problem-document"
        return str(document.get("type", ""))[:80].removeprefix(_TYPE_PREFIX)


NO_ANSWER = Answer(0, b"", b"")
"""What comes of a request to which no answer came."""
NOT_SENT = Answer(0, b"", b"", sent=False)
"""The same where no connection could be had."""
