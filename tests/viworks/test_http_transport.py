"""Connections: kept, dropped, renewed; answers that are too long, too late or none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ingest.settings import EdgeSettings
from tests.deadline import eventually
from tests.ingest.front_server import front_server, front_settings
from tests.ingest.pki import Leaf, Pki
from tests.viworks.scripted_server import CLOSE, HOLD, answer, scripted
from viworks.errors import AnswerLost, NameNotResolved, SettingsInvalid, Unreachable
from viworks.transport import HttpTransport
from viworks.transport.resolution import PinnedAddresses
from viworks.transport.tls import CertificateFiles, ClientCertificate, Contexts, TlsSettings

KEPT = [answer()] * 9


@contextlib.asynccontextmanager
async def transport(url: str, **options: object) -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(url, **options)  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        await opened.close()


async def get(http: HttpTransport, target: str = "/") -> bytes:
    return (await http.request("GET", target, {}, None)).body


class TestConnections:
    async def test_one_is_kept_for_many_requests(self) -> None:
        async with scripted(KEPT) as server, transport(server.url) as http:
            for _ in range(5):
                assert await get(http) == b"{}"
        assert [len(heads) for heads in server.requests] == [5]

    async def test_there_are_never_more_than_may_be(self) -> None:
        async with scripted(KEPT) as server, transport(server.url, max_connections=2) as http:
            assert await asyncio.gather(*(get(http) for _ in range(9))) == [b"{}"] * 9
        assert len(server.requests) <= 2

    async def test_what_the_server_closed_meanwhile_is_asked_again(self) -> None:
        async with scripted([answer(), CLOSE], KEPT) as server, transport(server.url) as http:
            assert await get(http) + await get(http) == b"{}{}"
        assert [len(heads) for heads in server.requests] == [2, 1]

    async def test_what_a_new_connection_does_not_answer_is_not(self) -> None:
        async with scripted([CLOSE], KEPT) as server, transport(server.url) as http:
            with pytest.raises(AnswerLost):
                await get(http)
        assert len(server.requests) == 1

    async def test_half_an_answer_is_no_reason_to_ask_again(self) -> None:
        half = answer(b"x" * 100)[:-50]
        async with scripted([answer(), half], KEPT) as server, transport(server.url) as http:
            await get(http)
            with pytest.raises(Unreachable):
                await get(http)
        assert len(server.requests) == 1

    async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(self) -> None:
        async with scripted(KEPT, unasked=answer(b"forged")) as server, transport(server.url) as http:
            assert await get(http) + await get(http) == b"{}{}"
        assert len(server.requests) == 2

    async def test_one_that_spoke_while_it_was_idle_is_not_used(self) -> None:
        async with scripted(KEPT) as server, transport(server.url) as http:
            await get(http)
            server.writers[0].write(answer(b"forged"))
            await eventually(lambda: not http._idle[0].reusable, 5)
            assert await get(http) == b"{}"
        assert len(server.requests) == 2

    async def test_after_a_cancelled_request_its_connection_is_not_used(self) -> None:
        async with scripted([answer(b"x" * 100)[:-50], *KEPT], KEPT) as server, transport(server.url) as http:
            task = asyncio.create_task(get(http))
            await eventually(lambda: server.requests, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await get(http) == b"{}"


class TestAnswers:
    @pytest.mark.parametrize(
        "hostile",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000,
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
            b"HTTP/1.1 102 Processing\r\n\r\n" * 20,
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        ],
    )
    async def test_that_are_none_or_too_long(self, hostile: bytes) -> None:
        async with scripted([hostile]) as server, transport(server.url) as http:
            with pytest.raises(Unreachable):
                await get(http)

    async def test_that_do_not_come_in_time(self) -> None:
        async with scripted([answer()[:-1], CLOSE]) as server, transport(server.url, timeout_s=0.2) as http:
            with pytest.raises(AnswerLost, match=r"within 0.2 s"):
                await get(http)

    async def test_that_cannot_come_since_nothing_was_sent(self) -> None:
        async with transport("http://127.0.0.1:1") as http:
            with pytest.raises(Unreachable) as caught:
                await get(http)
        assert not isinstance(caught.value, AnswerLost)

    async def test_for_which_no_connection_was_free_in_time(self) -> None:
        options = {"timeout_s": 0.3, "max_connections": 1}
        async with scripted([HOLD]) as server, transport(server.url, **options) as http:
            first, second = await asyncio.gather(get(http), get(http), return_exceptions=True)
        assert (type(first), type(second)) == (AnswerLost, Unreachable)

    async def test_their_fields_have_lower_case_names_and_are_joined(self) -> None:
        fields = answer(b"", "429 Too Many Requests", "Retry-After: 7", "A: 1", "a: 2")
        async with scripted([fields]) as server, transport(server.url) as http:
            response = await http.request("GET", "/", {}, None)
        assert (response.status, response.headers["retry-after"], response.headers["a"]) == (429, "7", "1, 2")

    async def test_a_server_that_answers_before_it_has_read_everything_is_heard(self) -> None:
        async with scripted([answer(b"", "413 Content Too Large"), HOLD]) as server, transport(server.url) as http:
            assert (await http.request("POST", "/", {}, b"x" * 8_000_000)).status == 413


class TestRequests:
    @pytest.mark.parametrize("fields", [{"X": "a\r\nY: b"}, {"X Y": "a"}, {"X": "a\x00"}])
    async def test_a_field_cannot_become_two(self, fields: dict[str, str]) -> None:
        async with scripted(KEPT) as server, transport(server.url) as http:
            with pytest.raises(ValueError, match="cannot be sent"):
                await http.request("GET", "/", fields, None)

    @pytest.mark.parametrize(
        "url", ["http://192.0.2.1", "ftp://localhost", "https://", "https://x/y", "https://x:port", "https://bücher.example"]
    )
    def test_urls_that_are_not_the_servers(self, url: str) -> None:
        with pytest.raises(SettingsInvalid):
            HttpTransport(url)

    async def test_addresses_that_were_given_are_the_only_ones(self) -> None:
        given = PinnedAddresses({"INGEST.example": ["127.0.0.1"]})
        assert await given.resolve("ingest.example") == ("127.0.0.1",)
        with pytest.raises(NameNotResolved):
            await given.resolve("other.example")

    async def test_the_next_address_is_tried(self) -> None:
        given = PinnedAddresses({"localhost": ["127.0.0.2", "127.0.0.1"]})
        async with scripted(KEPT) as server, transport(server.url, resolver=given) as http:
            assert await get(http) == b"{}"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[tuple[Pki, EdgeSettings]]:
    pki = Pki(tmp_path)
    pki.write()
    settings = front_settings(pki)
    with front_server(settings):
        yield pki, settings


def serial(leaf: Leaf) -> str:
    return str(leaf.certificate.serial_number)


class TestCertificates:
    async def test_a_renewed_one_is_used_from_the_next_request_on_and_none_is_lost(
        self, edge: tuple[Pki, EdgeSettings]
    ) -> None:
        pki, settings = edge
        pairs = [ClientCertificate(leaf.pem, leaf.key_pem) for leaf in (pki.client("c-1"), pki.client("c-2"))]
        current = [pairs[0]]
        tls = TlsSettings(pki.ca_pem, certificate=lambda: current[0])
        async with transport(f"https://localhost:{settings.edge_tls_port}", tls=tls) as http:

            async def peers(count: int) -> list[str]:
                answers = await asyncio.gather(*(get(http, "/?200000") for _ in range(count)))
                return [json.loads(body)["peer"]["client_id"] for body in answers]

            under_way = asyncio.create_task(peers(8))
            await eventually(lambda: http._idle, 5)
            current[0] = pairs[1]
            assert len(await under_way) == 8
            assert await peers(8) == ["c-2"] * 8

    async def test_an_idle_connection_of_the_former_one_is_not_used(self, edge: tuple[Pki, EdgeSettings]) -> None:
        pki, settings = edge
        pairs = [ClientCertificate(leaf.pem, leaf.key_pem) for leaf in (pki.client("c-1"), pki.client("c-2"))]
        tls = TlsSettings(pki.ca_pem, certificate=lambda: pairs[0])
        async with transport(f"https://localhost:{settings.edge_tls_port}", tls=tls) as http:
            for expected in ("c-1", "c-2"):
                assert json.loads(await get(http))["peer"]["client_id"] == expected
                pairs.reverse()

    async def test_the_key_is_on_the_disk_encrypted_alone_and_not_for_long(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pki, seen = Pki(tmp_path), list[bytes]()
        leaf = pki.client("c-1")
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()
        write = Path.write_bytes

        def write_and_tell(path: Path, data: bytes) -> int:
            seen.append(data)
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", write_and_tell)
        Contexts(TlsSettings(pki.ca_pem, certificate=lambda: ClientCertificate(leaf.pem, leaf.key_pem)))
        assert [data.splitlines()[0] for data in seen] == [
            b"-----BEGIN CERTIFICATE-----",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
        ]
        assert list((tmp_path / "temporary").iterdir()) == []

    def test_files_are_read_again_once_both_are_new(self, tmp_path: Path) -> None:
        pki = Pki(tmp_path)
        old, new = pki.client("c-1"), pki.client("c-1")
        chain, key = tmp_path / "own.pem", tmp_path / "own.key"
        chain.write_bytes(old.pem)
        key.write_bytes(old.key_pem)
        source = CertificateFiles(chain, key)
        assert source() == ClientCertificate(old.pem, old.key_pem)
        chain.write_bytes(new.pem)
        assert source() == ClientCertificate(old.pem, old.key_pem)
        key.write_bytes(new.key_pem)
        assert source() == ClientCertificate(new.pem, new.key_pem)
        chain.unlink()
        assert source() == ClientCertificate(new.pem, new.key_pem)

    def test_one_that_cannot_be_used_leaves_the_former_in_force(self, tmp_path: Path) -> None:
        pki = Pki(tmp_path)
        good, other = pki.client("c-1"), pki.client("c-1")
        current = [ClientCertificate(good.pem, good.key_pem)]
        contexts = Contexts(TlsSettings(pki.ca_pem, certificate=lambda: current[0]))
        before = contexts.current()
        current[0] = ClientCertificate(good.pem, other.key_pem)
        assert contexts.current() is before
        current[0] = ClientCertificate(other.pem, other.key_pem)
        assert contexts.current() is not before

    @pytest.mark.parametrize("what", ["authorities", "key", "missing file"])
    def test_settings_that_cannot_be_used(self, tmp_path: Path, what: str) -> None:
        pki = Pki(tmp_path)
        leaf = pki.client("c-1")
        settings = {
            "authorities": TlsSettings(b"nothing"),
            "key": TlsSettings(pki.ca_pem, certificate=lambda: ClientCertificate(leaf.pem, b"nothing")),
            "missing file": TlsSettings(pki.ca_pem, certificate=CertificateFiles(tmp_path / "x", tmp_path / "y")),
        }
        with pytest.raises(SettingsInvalid):
            Contexts(settings[what])
