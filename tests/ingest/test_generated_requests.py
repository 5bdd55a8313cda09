"""Requests generated from the API's document, at a real edge: every answer is a documented one, and the edge lives on."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, Phase, given, settings

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from infra.ports import free_port
from infra.topics import create_topics
from ingest.tokens import TokenKeys
from tests.figures import Tell
from tests.ingest.conftest import edge_settings, registry_double
from tests.ingest.documented_answers import faults
from tests.ingest.edge_process import EdgeProcess, edge_process
from tests.ingest.generated_requests import Caller, Plan, plans
from tests.ingest.whole_registry import WholeRegistry
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples

CLIENT_ID, SEED = "t-generated", b"g" * 32
MAX_GROWTH_KIB = 64 * 1024
WARM_UP_SHARE = 4
# One client sends all of it, so that its budgets would end what is looked for.
UNLIMITED = {
    f"{budget}_{what}": 1_000_000
    for budget in ("client", "urgent", "address", "registration")
    for what in ("rate_per_s", "burst")
}
# What must have been reached behind the signature.
SUCCESSES = [
    ("register", 201),
    ("heartbeat", 202),
    ("sessions", 202),
    ("events", 202),
    ("batch", 200),
    ("keys", 200),
    ("certificates", 200),
    ("config", 200),
    ("policies", 200),
]


@contextlib.asynccontextmanager
async def whole_edge(directory: Path, key_files: KeyFiles) -> AsyncIterator[EdgeProcess]:
    """An edge with a broker and a registry of its own."""
    broker = EmbeddedKafka(directory / "broker", free_port())
    await broker.start()
    try:
        await create_topics(broker.bootstrap, 1)
        chosen = edge_settings(broker.bootstrap, key_files, verdict_timeout_s=0.5, **UNLIMITED)
        async with (
            registry_double(broker.bootstrap, WholeRegistry),
            edge_process(chosen, directory / "edge.log") as running,
        ):
            yield running
    finally:
        await broker.stop()


class Run:
    """Sends what is generated, one after the other, and keeps count."""

    def __init__(self, edge: EdgeProcess, http: httpx2.AsyncClient, caller: Caller, wanted: int) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.warm_kib = 0
        self._edge = edge
        self._http = http
        self._caller = caller
        self._wanted = wanted

    async def send(self, plan: Plan) -> None:
        made = self._caller.request(plan, now_ms())
        answer = await self._http.request(made.method, made.target, headers=made.headers, content=made.body)
        self.answers[plan.path, answer.status_code] += 1
        assert faults(answer, plan.method, plan.path) == [], answer.text
        if sum(self.answers.values()) == self._wanted // WARM_UP_SHARE:
            self.warm_kib = self._edge.memory_kib()

    def report(self) -> str:
        lines = []
        for path in sorted({path for path, _ in self.answers}):
            counts = {status: count for (of, status), count in sorted(self.answers.items()) if of == path}
            lines.append(f"  {path}: {counts}")
        growth = self._edge.memory_kib() - self.warm_kib
        return "\n".join([f"{sum(self.answers.values())} requests, memory +{growth} KiB since the first quarter", *lines])


def generate(wanted: int, send: Callable[[Plan], None]) -> None:
    """Draw so many requests, the same ones every time."""

    @settings(
        max_examples=wanted,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(plan=plans())
    def run(plan: Plan) -> None:
        send(plan)

    run()


def certificate_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


async def lives_on(edge: EdgeProcess, http: httpx2.AsyncClient, api_key: str) -> None:
    client = RustClient(http, CLIENT_ID)
    client.seed, client.api_key = SEED, api_key
    assert (await client.post("events", samples.event(now_ms(), CLIENT_ID))).status_code == 202
    assert (await http.get("/readyz")).json()["ready"]
    assert edge.process.returncode is None


@pytest.mark.parametrize("wanted", [1_500, pytest.param(50_000, marks=pytest.mark.long)])
def test_every_answer_is_documented(wanted: int, tmp_path: Path, key_files: KeyFiles, tell: Tell) -> None:
    caller = Caller(CLIENT_ID, SEED, TokenKeys.from_file(key_files.token_keys), certificate_request(), now_ms())
    # Hypothesis draws while the loop stands still: what runs on it uses the random numbers that Hypothesis watches over.
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        edge = runner.run(stack.enter_async_context(whole_edge(tmp_path, key_files)))
        try:
            http = httpx2.AsyncClient(base_url=edge.url, timeout=30, trust_env=False)
            runner.run(stack.enter_async_context(http))
            run = Run(edge, http, caller, wanted)
            generate(wanted, lambda plan: runner.run(run.send(plan)))
            tell(run.report())
            runner.run(lives_on(edge, http, caller.api_key))
            assert edge.memory_kib() - run.warm_kib < MAX_GROWTH_KIB
        finally:
            runner.run(stack.aclose())
    assert sum(run.answers.values()) >= wanted
    for resource, status in SUCCESSES:
        assert run.answers[f"/api/v1/clients/{resource}", status] > wanted // 500, resource
    log = edge.log.read_text()
    assert [word for word in ("Traceback", "failed", "level=error") if word in log] == []
