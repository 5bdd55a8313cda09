"""The client for programs without an event loop: from any thread, and from no other process."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.viworks.fake_server import FakeServer
from tests.viworks.spooled_clients import DEVICE, METRICS, store
from tests.viworks.spools import box
from viworks import (
    BlockingClient,
    Client,
    ClientError,
    Forked,
    KeyFileError,
    MachineProtector,
    Metrics,
    NoKeyStore,
    Response,
    Spool,
    Unreachable,
)

FACTS = {"node_id": "n", "client_ip": "192.0.2.7", "user_agent": "u"}


def client_at(directory: Path, server: FakeServer) -> BlockingClient:
    return BlockingClient("http://127.0.0.1:1", store(), device=DEVICE, transport=server, spool=Spool(directory, box()))


class DeafServer(FakeServer):
    """A server that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    async def request(self, *request: Any) -> Response:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_it_has_every_name_of_the_client() -> None:
    names = {name for name, _ in inspect.getmembers(Client) if not name.startswith("_")}
    # ``run`` is ``start`` in the foreground of an event loop; ``keys`` are not for two threads at once.
    assert names - set(dir(BlockingClient)) == {"run"}


def test_all_calls(tmp_path: Path) -> None:
    server = FakeServer()
    with client_at(tmp_path, server) as client:
        assert client.register().api_key == "key-1"
        assert client.registration is not None
        assert client.heartbeat(METRICS) == 7
        event_id = client.report_event("policy_violation", "low", "t")
        with client.report_session("s-1", "vpn_connection", **FACTS) as session:
            assert session.session_id == "s-1"
        with pytest.raises(RuntimeError), client.report_session("s-2", "vpn_connection", **FACTS):
            raise RuntimeError
        assert client.policies().policy_version == 7
        assert client.policy is not None
        assert client.config().heartbeat_interval == 30
        before = client.identity
        client.rotate_key()
        assert client.identity != before
        client.status = "maintenance"
        client.start(lambda: METRICS)
        assert client.online(5)
        assert client.flush()
        assert (client.spooled, client.local_mode, client.status) == (0, False, "maintenance")
    client.close()
    sessions = [(each["session_id"], each["status"]) for kind, each in server.received if kind == "sessions"]
    assert sessions == [("s-1", "active"), ("s-1", "disconnected"), ("s-2", "active"), ("s-2", "error")]
    assert event_id in server.stored
    assert [each["status"] for kind, each in server.received if kind == "heartbeat"][1:] == ["maintenance", "offline"]
    with pytest.raises(ClientError, match="closed"):
        client.heartbeat(METRICS)


def test_errors_come_to_the_caller(tmp_path: Path) -> None:
    server = FakeServer()
    server.unreachable = Unreachable("away")
    with client_at(tmp_path, server) as client:
        with pytest.raises(Unreachable):
            client.register()
        client.start(lambda: METRICS)
        assert not client.online(0.05)
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(KeyFileError):
        BlockingClient.open("http://127.0.0.1:1", "c-1", tmp_path / "file", device=DEVICE)
    bare = BlockingClient("http://127.0.0.1:1", store().identity, device=DEVICE, transport=server)
    with bare, pytest.raises(NoKeyStore):
        bare.rotate_key()
    assert not [thread for thread in threading.enumerate() if thread.name == "viworks"]


def test_from_many_threads_at_once(tmp_path: Path) -> None:
    server = FakeServer()
    with client_at(tmp_path, server) as client:
        ids: list[str] = []

        def report() -> None:
            ids.extend(client.report_event("policy_violation", "low", "t") for _ in range(20))

        threads = [threading.Thread(target=report) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while not client.flush():
            pass
    assert len(set(ids)) == 160
    assert set(ids) == server.stored.keys()


def test_a_forked_child_is_told_so_at_once(tmp_path: Path) -> None:
    with client_at(tmp_path, FakeServer()) as client:
        with warnings.catch_warnings():  # from Python 3.12 on of the very mistake that is made here
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                client.report_event("policy_violation", "low", "t")
            except Forked:
                code = 42
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
        client.report_event("policy_violation", "low", "t")


@pytest.mark.parametrize("call", [BlockingClient.flush, BlockingClient.close], ids=["flush", "close"])
def test_a_call_from_its_own_thread_does_not_wait_for_itself(
    tmp_path: Path, call: Callable[[BlockingClient], object]
) -> None:
    heard: list[str] = []
    with client_at(tmp_path, FakeServer()) as client:

        def metrics() -> Metrics:
            try:
                call(client)
            except ClientError as error:
                heard.append(str(error))
            return METRICS

        client.start(metrics)
        assert client.online(5)
        client.report_event("policy_violation", "low", "t")
    assert "wait for itself" in heard[0]


def test_open_keeps_keys_and_spool_in_one_directory(tmp_path: Path) -> None:
    server = FakeServer()
    protector = MachineProtector(tmp_path / "secret")
    for _ in range(2):
        with BlockingClient.open(
            "http://127.0.0.1:1", "c-1", tmp_path / "own", device=DEVICE, transport=server, protector=protector
        ) as client:
            client.report_event("policy_violation", "low", "t")
            client.flush()
    assert (server.registrations, len(server.stored)) == (1, 2)


def test_a_call_that_is_under_way_when_another_thread_closes_the_client_returns(tmp_path: Path) -> None:
    server, outcomes = DeafServer(), list[str]()
    client = client_at(tmp_path, server)

    def register() -> None:
        try:
            client.register()
        except ClientError as error:
            outcomes.append(str(error))

    thread = threading.Thread(target=register, daemon=True)
    thread.start()
    assert server.asked.wait(5)
    client.close()
    thread.join(5)
    assert outcomes == ["the client was closed meanwhile"]


def test_a_close_that_is_interrupted_releases_the_spool(tmp_path: Path) -> None:
    server = DeafServer()
    client = client_at(tmp_path, server)
    client.report_event("policy_violation", "low", "t")
    assert server.asked.wait(5)
    before = signal.signal(signal.SIGALRM, _interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            client.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    spool = Spool(tmp_path, box())
    assert spool.census.waiting == 1
    spool.close()


def test_a_session_whose_client_was_closed_does_not_hide_its_own_error(tmp_path: Path) -> None:
    client = client_at(tmp_path, FakeServer())

    def fail() -> None:
        with client.report_session("s-1", "vpn_connection", **FACTS):
            client.close()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
