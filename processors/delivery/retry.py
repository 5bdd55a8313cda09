"""When to try again: exponential backoff with full jitter, within what the receiver and the settings allow.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog; Retry-After is RFC 9110, 10.2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

FIRST_S = 0.5
MOST_S = 60.0
TRIED_AT_LEAST_S = 60.0
LONGEST_WAIT_S = 86_400.0

Random = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts at one alert. Times in seconds, on one clock.

    Attributes:
        began_s: when the first one was made.
        written_s: when the alert was written to the topic.
        give_up_after_s: an older alert is given up, but not before it was tried for a minute (or for this time, where that
            is shorter), so that what waited for a dead receiver is not lost at its return.
    """

    began_s: float
    written_s: float
    give_up_after_s: float

    def pause_s(self, failures: int, now_s: float, retry_after_s: float | None, random: Random) -> float | None:
        """How long to wait after so many failures, or None to give up. ``random`` gives numbers from 0 up to 1."""
        rest_s = self._deadline_s() - now_s
        asked_s = min(retry_after_s or 0.0, LONGEST_WAIT_S)
        if rest_s <= 0 or asked_s > rest_s:
            return None
        # The last attempt is made at the deadline.
        return min(rest_s, max(asked_s, random() * min(MOST_S, FIRST_S * 2.0 ** min(failures, 32))))

    def _deadline_s(self) -> float:
        tried_s = self.began_s + min(self.give_up_after_s, TRIED_AT_LEAST_S)
        return max(self.written_s + self.give_up_after_s, tried_s)


def retry_after_s(text: str | None, now_s: float) -> float | None:
    """The header's value as seconds from now; None where it is absent or makes no sense."""
    if text is None or len(text) > 100:
        return None
    try:
        return max(0.0, float(int(text)) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
