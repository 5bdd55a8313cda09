"""Attempts of a request: when another is made, after how long, and when none is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from viworks.backoff import BackoffPolicy
from viworks.breaker import BreakerPolicy, BreakerState
from viworks.errors import CertificateRefused, CircuitOpen, Unreachable
from viworks.timing import Timing
from viworks.transport import Response, RetryingTransport, RetryPolicy

Step = Response | BaseException
AWAY = Unreachable("away")


def said(status: int, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


class Line:
    """A transport that plays steps; the clock moves by what is slept."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.now_ms = 0
        self.slept_ms: list[int] = []
        self.failures: list[Unreachable] = []
        self.timing = Timing(lambda: self.now_ms, lambda: self.now_ms, self.sleep, lambda: 0.5)

    async def sleep(self, seconds: float) -> None:
        self.slept_ms.append(round(seconds * 1000))
        self.now_ms += round(seconds * 1000)

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    async def close(self) -> None:
        return None

    def retrying(self, **policy: int) -> RetryingTransport:
        breaker = BreakerPolicy(failures_to_open=3, open_ms=1_000)
        chosen = RetryPolicy(backoff=BackoffPolicy(base_ms=100), breaker=breaker, **policy)
        return RetryingTransport(self, chosen, timing=self.timing, on_failure=self.failures.append)


async def send(transport: RetryingTransport) -> Response:
    return await transport.request("POST", "/", {}, b"{}")


async def test_attempts_until_an_answer() -> None:
    line = Line(AWAY, said(503), said(202))
    assert (await send(line.retrying())).status == 202
    assert line.slept_ms == [50, 100]
    assert line.failures == [AWAY]


@pytest.mark.parametrize("status", [400, 401, 403, 409, 413, 422, 501])
async def test_a_refusal_is_an_answer(status: int) -> None:
    line = Line(said(status))
    assert (await send(line.retrying())).status == status


async def test_the_last_answer_or_error_is_handed_on() -> None:
    assert (await send(Line(said(503), said(500)).retrying(attempts=2))).status == 500
    with pytest.raises(Unreachable, match="away"):
        await send(Line(said(503), AWAY).retrying(attempts=2))


async def test_retry_after_is_waited_out_before_the_next_attempt() -> None:
    line = Line(said(429, retry_after="10"), said(202))
    await send(line.retrying())
    assert line.slept_ms == [15_000]


async def test_what_would_come_too_late_is_not_tried() -> None:
    line = Line(said(429, retry_after="60"), said(202))
    assert (await send(line.retrying(within_ms=60_000))).status == 429
    assert line.slept_ms == []


async def test_failures_of_several_requests_open_the_circuit_and_a_probe_closes_it() -> None:
    line = Line(AWAY, AWAY, said(500), said(202), said(202))
    once = line.retrying().with_attempts(1)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await send(once)
    await send(once)
    with pytest.raises(CircuitOpen) as caught:
        await send(once)
    assert (caught.value.retry_after_s, len(line.steps)) == (0.75, 2)
    line.now_ms += 750
    await send(once)
    assert once.circuit.state.state is BreakerState.CLOSED


async def test_being_limited_does_not_open_the_circuit() -> None:
    line = Line(*[said(429)] * 20)
    transport = line.retrying(attempts=20, within_ms=10**9)
    assert (await send(transport)).status == 429
    assert transport.circuit.state.state is BreakerState.CLOSED


async def test_a_refused_certificate_is_not_asked_again() -> None:
    line = Line(CertificateRefused("h", "why"), said(202))
    with pytest.raises(CertificateRefused):
        await send(line.retrying())
    assert len(line.failures) == len(line.steps) == 1


async def test_a_probe_that_is_given_up_leaves_its_place() -> None:
    line = Line(AWAY, AWAY, AWAY, asyncio.CancelledError(), said(202))
    transport = line.retrying().with_attempts(1)
    for _ in range(3):
        with pytest.raises(Unreachable):
            await send(transport)
    line.now_ms += 750
    with pytest.raises(asyncio.CancelledError):
        await send(transport)
    assert (await send(transport)).status == 202
