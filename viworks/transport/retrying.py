"""A transport that tries again: backoff between the attempts of a request, one circuit breaker over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from viworks import breaker
from viworks.backoff import Backoff, BackoffPolicy, failed, retry_after_ms
from viworks.breaker import Breaker, BreakerPolicy, Outcome, Permit
from viworks.errors import CertificateRefused, CircuitOpen, Unreachable
from viworks.timing import Timing
from viworks.transport.exchange import Response, Transport

Listener = Callable[[Unreachable], None]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a request is tried.

    Attributes:
        attempts: of one request, the first among them.
        within_ms: no attempt begins later than this after the first: what a request says grows old.
    """

    attempts: int = 3
    within_ms: int = 60_000
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)


class Circuit:
    """The breaker of one server, shared by all who speak to it. Its policy may change while it runs."""

    def __init__(self, policy: Callable[[], BreakerPolicy], timing: Timing) -> None:
        self.state = Breaker()
        self._policy = policy
        self._timing = timing

    def admit(self) -> Permit:
        """Raises CircuitOpen where nothing may be sent now."""
        now_ms = self._timing.monotonic_ms()
        self.state, permit = breaker.admit(self._policy(), self.state, now_ms)
        if permit is None:
            raise CircuitOpen(breaker.wait_ms(self.state, now_ms) / 1000)
        return permit

    def settle(self, permit: Permit, outcome: Outcome, at_least_ms: int = 0) -> None:
        """What came of the request that the permit was for."""
        now_ms, fraction = self._timing.monotonic_ms(), self._timing.fraction()
        self.state = breaker.settle(self._policy(), self.state, permit, outcome, now_ms, fraction, at_least_ms)


class RetryingTransport:
    """Tries a request again where no answer came, or 429 or 5xx, which is returned once the attempts are used up.

    A certificate that is refused is not tried again within the request: who sits between stays there for longer.

    Args:
        on_failure: told of every attempt without an answer; what it may report are the errors' own members.
    """

    def __init__(
        self,
        transport: Transport,
        policy: RetryPolicy | None = None,
        *,
        timing: Timing | None = None,
        on_failure: Listener | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        self._transport = transport
        self._policy = chosen = policy or RetryPolicy()
        self._timing = timing or Timing()
        self._on_failure = on_failure
        self.circuit = circuit or Circuit(lambda: chosen.breaker, self._timing)

    def with_attempts(self, attempts: int) -> RetryingTransport:
        """The same connections and breaker with another number of attempts: 1 for a registration, which counts once."""
        policy = replace(self._policy, attempts=attempts)
        return RetryingTransport(
            self._transport, policy, timing=self._timing, on_failure=self._on_failure, circuit=self.circuit
        )

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Raises CircuitOpen, or what the last attempt raised."""
        began_ms, backoff = self._timing.monotonic_ms(), Backoff()
        while True:
            result, asked_ms = await self._attempt(method, target, headers, body)
            backoff, wait_ms = failed(self._policy.backoff, backoff, self._timing.fraction(), asked_ms)
            late = self._timing.monotonic_ms() + wait_ms > began_ms + self._policy.within_ms
            if _is_final(result) or late or backoff.failures >= self._policy.attempts:
                return _returned(result)
            await self._timing.sleep(wait_ms / 1000)

    async def close(self) -> None:
        await self._transport.close()

    async def _attempt(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Response | Unreachable, int | None]:
        """One attempt's answer or error, and the wait that the server asked for."""
        permit, outcome, asked_ms = self.circuit.admit(), Outcome.NEITHER, None
        try:
            response = await self._transport.request(method, target, headers, body)
        except Unreachable as error:
            outcome = Outcome.FAILURE
            if self._on_failure is not None:
                self._on_failure(error)
            return error, None
        else:
            outcome, asked_ms = breaker.outcome_of(response.status), self._asked_ms(response)
            return response, asked_ms
        finally:
            self.circuit.settle(permit, outcome, asked_ms or 0)

    def _asked_ms(self, response: Response) -> int | None:
        asked_ms = retry_after_ms(response.headers, self._timing.wall_ms())
        return None if asked_ms is None else min(asked_ms, self._policy.backoff.retry_after_cap_ms)


def _is_final(result: Response | Unreachable) -> bool:
    if isinstance(result, Unreachable):
        return isinstance(result, CertificateRefused)
    return breaker.outcome_of(result.status) is Outcome.SUCCESS


def _returned(result: Response | Unreachable) -> Response:
    if isinstance(result, Unreachable):
        raise result
    return result
