"""Senders against real servers, TLS and hostile ones included."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from infra.pki import ensure_pki
from processors.clock import system_clock
from processors.delivery.alert import Alert
from processors.delivery.errors import Gone, NotDelivered, Refused, Unavailable
from processors.delivery.receivers import Filters, Receiver
from processors.delivery.sender import Sender
from processors.delivery.senders import sender_of
from processors.delivery.signing import headers, parse_secret
from processors.delivery.syslog_sender import SyslogSender
from tests.deadline import eventually
from tests.processors.delivery.http_receiver import (
    Answer,
    dripping,
    dripping_head,
    endless,
    never,
    receiving,
    status,
)
from tests.processors.delivery.samples import HOSTILE, SECRET, alert

KEY = parse_secret(SECRET)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority's file, and a server's context with a certificate of it."""
    files = ensure_pki(tmp_path_factory.mktemp("pki"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.server_cert, files.server_key)
    return files.ca_cert, context


@contextlib.asynccontextmanager
async def sending(kind: str, url: str, **more: Any) -> AsyncIterator[Sender]:
    sender = sender_of(Receiver("r", kind, url, **{"secrets": (KEY,), "timeout_s": 5.0, **more}), system_clock)
    try:
        yield sender
    finally:
        await sender.close()


async def outcome(answer: Answer, **more: Any) -> NotDelivered:
    async with receiving() as receiver, sending("webhook", receiver.url, **more) as sender:
        receiver.answer = answer
        with pytest.raises(NotDelivered) as raised:
            await sender.send(alert())
        assert len(receiver.requests) == 1
        return raised.value


@pytest.mark.parametrize("form", ["ocsf", "alert"])
async def test_a_webhook_is_signed_over_tls(form: str, pki: tuple[Path, ssl.SSLContext]) -> None:
    one, keys = alert(summary="Grüße 🚨"), (b"n" * 32, KEY)
    async with (
        receiving(pki[1]) as receiver,
        sending("webhook", receiver.url + "/hook?a=b", ca_file=pki[0], format=form, secrets=keys) as sender,
    ):
        assert (await sender.send(one)).status == "204"
        await sender.send(one)
    first, second = receiver.requests
    assert first.path == "/hook?a=b"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"{one.alert_id}.firing"
    sent_s = int(first.headers["webhook-timestamp"])
    assert abs(sent_s - time.time()) < 5
    assert headers(one.delivery_id, sent_s, first.body, [KEY])["webhook-signature"] in first.headers["webhook-signature"]
    content = first.json()
    if form == "ocsf":
        assert (content["class_uid"], content["finding_info"]["uid"], content["message"]) == (2004, one.alert_id, "Grüße 🚨")
    else:
        assert (content["type"], content["data"]["alert_id"]) == ("alert.firing", one.alert_id)
        assert content["data"]["evidence"] == one.evidence


async def test_an_unknown_authority_is_not_trusted(pki: tuple[Path, ssl.SSLContext]) -> None:
    async with receiving(pki[1]) as receiver, sending("webhook", receiver.url) as sender:
        with pytest.raises(Unavailable, match="ConnectError"):
            await sender.send(alert())
    assert receiver.requests == []


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_worth_another_attempt(code: int) -> None:
    error = await outcome(status(code, "Retry-After: 7"))
    assert isinstance(error, Unavailable)
    assert (error.reason, error.retry_after_s) == (str(code), 7.0)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 413, 422, 301, 302, 307, 308])
async def test_what_is_refused_is_refused_and_no_redirect_is_followed(code: int) -> None:
    assert isinstance(await outcome(status(code, "Location: /elsewhere")), Refused)


async def test_410_ends_it() -> None:
    assert isinstance(await outcome(status(410)), Gone)


@pytest.mark.parametrize("answer", [never, dripping_head], ids=["never", "dripping head"])
async def test_no_answer_costs_no_more_than_its_time(answer: Answer) -> None:
    begun_s = time.monotonic()
    assert (await outcome(answer, timeout_s=0.3)).reason in {"TimeoutError", "ReadTimeout"}
    assert time.monotonic() - begun_s < 5


async def garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03 not HTTP at all\r\n\r\n")


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def long_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 5_000_000 + b"\r\n\r\n")


@pytest.mark.parametrize("answer", [garbage, hang_up, long_head], ids=["garbage", "hang up", "long head"])
async def test_broken_http_is_worth_another_attempt(answer: Answer) -> None:
    assert isinstance(await outcome(answer), Unavailable)


@pytest.mark.parametrize("answer", [endless, dripping], ids=["a gigabyte", "a byte now and then"])
async def test_the_status_decides_whatever_follows(answer: Answer) -> None:
    async with receiving() as receiver, sending("webhook", receiver.url, timeout_s=8.0) as sender:
        receiver.answer = answer
        begun_s = time.monotonic()
        tracemalloc.start()
        said = await sender.send(alert())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert said.status == "200"
        assert len(said.excerpt) <= 500
        assert time.monotonic() - begun_s < 5
        assert peak < 4 * 1024 * 1024


async def test_a_connection_that_nobody_takes() -> None:
    async with sending("webhook", "http://127.0.0.1:9") as sender:
        with pytest.raises(Unavailable, match="ConnectError"):
            await sender.send(alert())


async def test_alertmanager_is_told_once_and_again_until_the_end() -> None:
    async with receiving() as receiver, sending("alertmanager", receiver.url + "/", secrets=(b"t0ken",)) as sender:
        one, other = alert(client_id="a"), alert(client_id="b")
        for each in (one, other):
            assert sender.wants(each)
            await sender.send(each)
        await sender.resend()
        end = one._replace(status="resolved", timestamp=one.timestamp + 5)
        receiver.answers = [status(503)]
        with pytest.raises(Unavailable):
            await sender.send(end)
        await sender.resend()
        await sender.send(end)
        assert not sender.wants(other._replace(status="acknowledged", suppressed_by="silence:1"))
        await sender.resend()
    assert {(request.path, request.headers["authorization"]) for request in receiver.requests} == {
        ("/api/v2/alerts", "Bearer t0ken")
    }
    told = [[posted["labels"]["client_id"] for posted in request.json()] for request in receiver.requests]
    assert told == [["a"], ["b"], ["a", "b"], ["a"], ["b"], ["a"]]
    first, last = receiver.requests[0].json()[0], receiver.requests[-1].json()[0]
    assert (last["labels"], last["startsAt"]) == (first["labels"], first["startsAt"])
    assert last["endsAt"] < first["endsAt"]


class Lines:
    """A syslog collector over TCP or TLS that takes frames apart by their length."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.connections = 0
        self.hang_up_after = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int(await reader.readuntil(b" "))
                self.messages.append(await reader.readexactly(length))
                if len(self.messages) == self.hang_up_after:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def collecting(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Lines, str]]:
    lines = Lines()
    server = await asyncio.start_server(lines.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "tls" if tls else "tcp"
    try:
        yield lines, f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in lines.writers:
            writer.transport.abort()


def hostile_alerts() -> list[Alert]:
    return [alert(summary=text, rule=text, client_id=text, evidence={"a": text}) for text in HOSTILE]


@pytest.mark.parametrize("encrypted", [True, False], ids=["tls", "tcp"])
async def test_syslog_messages_arrive_whole(encrypted: bool, pki: tuple[Path, ssl.SSLContext]) -> None:
    async with collecting(pki[1] if encrypted else None) as (lines, url), sending("syslog", url, ca_file=pki[0]) as sender:
        assert isinstance(sender, SyslogSender)
        alerts = hostile_alerts()
        await asyncio.gather(*(sender.send(one) for one in alerts))
        await eventually(lambda: len(lines.messages) == len(alerts), 5)
        assert lines.messages == [sender.message(one) for one in alerts]
        assert lines.connections == 1
        assert max(len(message) for message in lines.messages) <= 8_192


async def test_a_collector_that_hangs_up_gets_the_next_message_too() -> None:
    async with collecting() as (lines, url), sending("syslog", url) as sender:
        lines.hang_up_after = 1
        await sender.send(alert())
        await eventually(lambda: len(lines.messages) == 1, 5)
        for _ in range(3):
            with contextlib.suppress(Unavailable):
                await sender.send(alert())
        await eventually(lambda: len(lines.messages) >= 3, 5)
        assert lines.connections == 2


async def test_only_what_the_collectors_machine_has_counts_as_delivered() -> None:
    """The other kernel's buffer takes some; what then waits in this one's is not delivered."""
    one = alert(evidence={"a": "x" * 6_000})
    taken: list[str] = []
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        async with sending("syslog", f"tcp://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3) as sender:
            assert isinstance(sender, SyslogSender)
            with pytest.raises(Unavailable, match="TimeoutError"):
                await until_it_fails(sender, one, taken)
            arrived = bytearray(4)
            with silent.accept()[0] as connection:
                fcntl.ioctl(connection.fileno(), termios.FIONREAD, arrived)
            assert len(taken) * len(sender.message(one)) <= struct.unpack("i", arrived)[0]
    assert len(taken) > 1


async def until_it_fails(sender: Sender, one: Alert, taken: list[str]) -> None:
    while True:
        taken.append((await sender.send(one)).status)


async def test_a_collectors_certificate_is_checked(pki: tuple[Path, ssl.SSLContext]) -> None:
    async with collecting(pki[1]) as (lines, url), sending("syslog", url) as sender:
        with pytest.raises(Unavailable, match="SSLCertVerificationError"):
            await sender.send(alert())
    assert lines.messages == []


async def test_syslog_over_udp_is_one_datagram_each() -> None:
    class Datagrams(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.messages: list[bytes] = []

        def datagram_received(self, data: bytes, addr: object) -> None:
            self.messages.append(data)

    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with sending("syslog", f"udp://127.0.0.1:{port}") as sender:
        assert isinstance(sender, SyslogSender)
        alerts = hostile_alerts()
        for one in alerts:
            await sender.send(one)
        await eventually(lambda: len(protocol.messages) == len(alerts), 5)
        assert protocol.messages == [sender.message(one) for one in alerts]
        assert max(len(message) for message in protocol.messages) <= 2_048
    transport.close()


async def test_filters_leave_out_and_so_does_a_suppression() -> None:
    async with sending("webhook", "http://127.0.0.1:9", filters=Filters("high", ("offline",), ("firing",))) as sender:
        assert sender.wants(alert(severity="critical"))
        assert not sender.wants(alert(severity="medium"))
        assert not sender.wants(alert(rule="flapping"))
        assert not sender.wants(alert(status="resolved"))
        assert not sender.wants(alert(suppressed_by="mute:offline"))
        assert not sender.wants(alert(status="suppressed"))
