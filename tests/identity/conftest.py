"""Edges and a registry worker on a broker of their own: here the registry is the real one.

They end with this package: the worker's thread draws random numbers, which Hypothesis takes for its strategies' doing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from infra import administration
from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles, ensure_keys
from infra.pki import PkiFiles, ensure_pki
from infra.ports import free_port
from infra.topics import create_topics
from ingest.settings import EdgeSettings
from tests.ingest.conftest import edge_settings, serving
from tests.ingest.edge_process import edge_process
from tests.processors.harness import worker_settings, working
from tests.topic_probe import TopicProbe

OVERLAP_S = 2
CONNECTIONS = httpx2.Limits(max_connections=200, max_keepalive_connections=200)


@dataclass
class Site:
    """An installation: its broker, keys, certificate authority and registry."""

    bootstrap: str
    keys: KeyFiles
    pki: PkiFiles

    def settings(self, **changes: Any) -> EdgeSettings:
        # Fifty who register at once wait for one another, on a slow machine for longer than an edge waits by itself.
        return edge_settings(self.bootstrap, self.keys, **{"key_overlap_s": OVERLAP_S, "verdict_timeout_s": 25.0, **changes})

    async def order(self, subject: str, action: str, **body: Any) -> dict[str, Any]:
        return await administration.order(self.bootstrap, subject, action, body, "tester")


@contextlib.asynccontextmanager
async def edge(settings: EdgeSettings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a running edge."""
    async with (
        serving(settings) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False, limits=CONNECTIONS) as http,
    ):
        yield http


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    directory: Path = tmp_path_factory.mktemp("site")
    broker = EmbeddedKafka(directory, free_port())
    await broker.start()
    try:
        await create_topics(broker.bootstrap, 1)
        pki = ensure_pki(directory / "data")
        settings = worker_settings(
            broker.bootstrap,
            directory,
            ca_cert_file=pki.ca_cert,
            ca_key_file=pki.ca_key,
            crl_file=pki.revocation_list,
        )
        async with working(settings):
            yield Site(broker.bootstrap, ensure_keys(directory / "data"), pki)
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def separate_edge(site: Site, log: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an edge in a process of its own."""
    async with (
        edge_process(site.settings(), log) as started,
        httpx2.AsyncClient(base_url=started.url, timeout=30, trust_env=False, limits=CONNECTIONS) as http,
    ):
        yield http


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def edges(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Two edge processes, as a load balancer would have behind it."""
    logs = tmp_path_factory.mktemp("edges")
    async with separate_edge(site, logs / "1.log") as first, separate_edge(site, logs / "2.log") as second:
        yield first, second


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def site_probe(site: Site) -> AsyncIterator[TopicProbe]:
    async with TopicProbe(site.bootstrap) as started:
        yield started


async def gather(*work: Any) -> list[Any]:
    return list(await asyncio.gather(*work))
