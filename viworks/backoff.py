"""How long to wait before the next attempt: exponential backoff with full jitter that honours Retry-After.

Full jitter: a random time between nothing and a ceiling that doubles with each failure (Marc Brooker, "Exponential Backoff
And Jitter", AWS Architecture Blog, 2015). Pure: the caller brings the random fraction and does the waiting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DELTA_SECONDS = re.compile(r"[0-9]{1,9}")
_LONGEST_DATE = 40
# 2^30 is beyond every ceiling; an unbounded exponent would make ever larger numbers of a long outage.
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """The ceiling's start and end, and the longest Retry-After that is believed; milliseconds.

    With a ceiling of twice the heartbeat interval a fleet without its server tries no more often than it would beat.
    """

    base_ms: int = 500
    cap_ms: int = 60_000
    retry_after_cap_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Backoff:
    """How many attempts have failed in a row. A success is a new ``Backoff()``."""

    failures: int = 0


def failed(
    policy: BackoffPolicy, backoff: Backoff, fraction: float, retry_after_ms: int | None = None
) -> tuple[Backoff, int]:
    """Another attempt has failed. Returns the new state and the wait in milliseconds before the next one.

    Args:
        fraction: random, evenly spread over [0, 1).
        retry_after_ms: what the server asked for. It is waited out, and then a random time up to as long again: all who
            were told the same would otherwise come back together.
    """
    ceiling_ms = min(policy.cap_ms, policy.base_ms << min(backoff.failures, _MOST_DOUBLINGS))
    asked_ms = 0 if retry_after_ms is None else max(0, min(retry_after_ms, policy.retry_after_cap_ms))
    return Backoff(backoff.failures + 1), asked_ms + int(max(ceiling_ms, asked_ms) * fraction)


def retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or an HTTP date. None where it is missing or neither.

    Args:
        headers: an answer's, names in lower case.
        now_ms: the client's time since the epoch; its ``Date`` counts instead where there is one, since clocks differ.
    """
    value = headers.get("retry-after", "").strip()
    if _DELTA_SECONDS.fullmatch(value):
        return int(value) * 1000
    then_ms = _date_ms(value)
    if then_ms is None:
        return None
    sent_ms = _date_ms(headers.get("date", ""))
    return max(0, then_ms - (now_ms if sent_ms is None else sent_ms))


def _date_ms(value: str) -> int | None:
    if not value or len(value) > _LONGEST_DATE or not value.endswith(" GMT"):
        return None
    from email.utils import parsedate_to_datetime  # seldom needed, and slow to import

    try:
        return int(parsedate_to_datetime(value).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
