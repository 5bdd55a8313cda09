"""The client for programs without an event loop: the same names, each call waits for its result.

One thread of its own runs the loop; the client may be used from any thread, and from none but the process that made it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from schemas.messages import ClientConfig, Policy, PolicySet, RegistrationAnswer
from viworks.client import Client
from viworks.drafts import Metrics
from viworks.errors import ClientError, Forked
from viworks.identity import Identity
from viworks.keys import KeyStore
from viworks.running import MetricsSource
from viworks.session import SessionReporting

T = TypeVar("T")


class BlockingClient:
    """``Client`` for ordinary code. Use as a context manager, or call ``close``."""

    _client: Client
    _closed: bool
    _closing: threading.Lock
    _entry: threading.Lock

    def __init__(self, base_url: str, identity: Identity | KeyStore, **settings: Any) -> None:
        """Arguments as for ``Client``."""
        self._begin(lambda: Client(base_url, identity, **settings))

    @classmethod
    def open(cls, base_url: str, client_id: str, directory: str | Path, **settings: Any) -> BlockingClient:
        """As ``Client.open``, with the same errors."""
        client = cls.__new__(cls)
        client._begin(lambda: Client.open(base_url, client_id, directory, **settings))
        return client

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def identity(self) -> Identity:
        """The key in force."""
        return self._client.identity

    @property
    def registration(self) -> RegistrationAnswer | None:
        """The answer to the last registration."""
        return self._client.registration

    @property
    def policy(self) -> Policy | None:
        """The policy in force."""
        return self._client.policy

    @property
    def local_mode(self) -> bool:
        """Whether the server did not answer the last time."""
        return self._client.local_mode

    @property
    def spooled(self) -> int:
        """How many messages wait for the server."""
        return self._client.spooled

    @property
    def status(self) -> str:
        """What the heartbeats of ``start`` say; may be set."""
        return self._client.status

    @status.setter
    def status(self, status: str) -> None:
        self._client.status = status

    def register(self) -> RegistrationAnswer:
        """As ``Client.register``."""
        return self._wait(self._client.register())

    def heartbeat(self, metrics: Metrics, status: str | None = None) -> int:
        """As ``Client.heartbeat``."""
        return self._wait(self._client.heartbeat(metrics, status))

    def start(self, metrics: MetricsSource) -> None:
        """As ``Client.start``; ``metrics`` is called in the client's own thread."""

        async def start() -> None:
            self._client.start(metrics)

        self._wait(start())

    def online(self, timeout_s: float | None = None) -> bool:
        """Wait until the first heartbeat after ``start`` was accepted; whether it was within the time."""

        async def online() -> bool:
            try:
                await asyncio.wait_for(self._client.online(), timeout_s)
            except TimeoutError:
                return False
            return True

        return self._wait(online())

    def report_session(self, session_id: str, session_type: str, status: str = "active", **facts: Any) -> BlockingSession:
        """Report a session now; as a context manager also its end, and whether it ended by an error.

        Arguments and errors as for ``Client.report_session``.
        """

        async def report() -> SessionReporting:
            session = self._client.report_session(session_id, session_type, status, **facts)
            await session
            return session

        return BlockingSession(self._wait(report()), self._wait)

    def report_event(self, event_type: str, severity: str, description: str, **members: Any) -> str:
        """As ``Client.report_event``."""
        return self._wait(self._client.report_event(event_type, severity, description, **members))

    def config(self) -> ClientConfig:
        """As ``Client.config``."""
        return self._wait(self._client.config())

    def policies(self) -> PolicySet:
        """As ``Client.policies``."""
        return self._wait(self._client.policies())

    def rotate_key(self) -> None:
        """As ``Client.rotate_key``."""
        self._wait(self._client.rotate_key())

    def renew_certificate(self) -> None:
        """As ``Client.renew_certificate``."""
        self._wait(self._client.renew_certificate())

    def flush(self) -> bool:
        """As ``Client.flush``."""
        return self._wait(self._client.flush())

    def close(self) -> None:
        """As ``Client.close``; a second time does nothing."""
        self._check_process()
        self._check_thread()
        with self._closing:
            if self._closed:
                return
            try:
                self._wait(self._client.close())
            finally:
                self._end()

    def _begin(self, make: Callable[[], Client]) -> None:
        self._process = os.getpid()
        self._closed, self._closing, self._entry = False, threading.Lock(), threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_live, args=(self._loop,), name="viworks", daemon=True)
        self._thread.start()

        async def made() -> Client:
            return make()

        try:
            self._client = self._wait(made())
        except BaseException:
            self._end()
            raise

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of a call in the client's thread. Raises Forked, and what the call raises."""
        future = self._begun(call)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ClientError("the client was closed meanwhile") from None
        except BaseException:
            future.cancel()  # an interrupted caller does not wait for the answer any more
            raise

    def _begun(self, call: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        try:
            self._check_process()
            self._check_thread()
            with self._entry:  # what is begun here is begun before the loop's end, which it then hears of
                if self._closed:
                    raise ClientError("the client is closed")
                return asyncio.run_coroutine_threadsafe(call, self._loop)
        except ClientError:
            call.close()
            raise

    def _end(self) -> None:
        with self._entry:
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise ClientError("a call from the client's own thread, such as from its metrics, would wait for itself")

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise Forked("a client belongs to the process that made it: make another one after a fork")


class BlockingSession:
    """A session that was reported; its end is reported where it is used as a context manager."""

    def __init__(self, session: SessionReporting, wait: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._session = session
        self._wait = wait

    @property
    def session_id(self) -> str:
        """To be found in SQL."""
        return self._session.session_id

    def __enter__(self) -> BlockingSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._wait(self._session.__aexit__(kind, error, trace))
        except ClientError:
            if kind is None:  # else the session's own error is what the caller has to see
                raise


def _live(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and end what is under way then: nobody waits for it for ever."""
    try:
        loop.run_forever()
        loop.run_until_complete(_ended())
    finally:
        loop.close()


async def _ended() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        if not task.cancelling():  # one that is being cancelled may be tidying up
            task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
