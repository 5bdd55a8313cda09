"""What a client finds out about its own safety reaches the SOC once it can speak, and does not flood it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.sealing import Place, open_envelope
from tests.deadline import eventually
from tests.viworks.fake_server import FakeServer
from tests.viworks.spooled_clients import METRICS, NOW_MS, Clock, client_at, store, told
from tests.viworks.spools import edit
from viworks import AnswerNotTrusted, Client, SignatureWrong
from viworks.errors import CertificateRefused, PinMismatch
from viworks.findings import MOST_OF_A_KIND, REPEAT_MS, Book, Finding, FindingKind, entered
from viworks.server_clock import ClockWatch, jump_ms


def text_of(server: FakeServer, code: str) -> str:
    found, *_ = [each for each in server.stored.values() if each.get("details", {}).get("error_code") == code]
    place = Place("c-1", "event.description", found["event_id"])
    return open_envelope(found["details"]["description"], place, server.soc).decode()


async def all_told(client: Client) -> None:
    await eventually(client.flush, 5)


@pytest.mark.parametrize(
    ("error", "code", "severity"),
    [
        (PinMismatch("ingest.example", ("PRESENTED=",)), "pin-mismatch", "critical"),
        (CertificateRefused("ingest.example", "self-signed certificate"), "server-certificate-refused", "high"),
    ],
)
async def test_whoever_answers_in_the_servers_place_is_reported_later(
    tmp_path: Path, error: CertificateRefused, code: str, severity: str
) -> None:
    server, keys, clock = FakeServer(), store(), Clock()
    server.unreachable = error
    async with client_at(tmp_path, server, clock, keys=keys) as client:
        for _ in range(50):
            await client.flush()
            await client.report_event("connection_attempt", "info", "t")
    server.unreachable = None
    async with client_at(tmp_path, server, keys=keys) as client:
        await all_told(client)
    hours = 1 + (clock.wall_ms - NOW_MS) // REPEAT_MS
    assert told(server) in [[code] * times for times in range(1, hours + 1)]
    event, *_ = [each for each in server.stored.values() if each["details"].get("error_code")]
    assert (event["event_type"], event["severity"]) == ("certificate_error", severity)
    assert "ingest.example" not in text_of(server, code)


async def test_policies_that_the_server_has_not_signed(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        await client.register()
        server.signing_seed = b"m" * 32
        for _ in range(3):
            with pytest.raises(SignatureWrong):
                await client.policies()
        await all_told(client)
        assert client.policy is None
    assert told(server) == ["policy-signature-wrong"]


async def test_older_policies_are_reported_once_that_lasts(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    async with client_at(tmp_path, server, clock) as client:
        await client.policies()
        server.policy_version = 6
        assert await refused(client)
        await all_told(client)
        assert told(server) == []  # two edges may differ while a change spreads
        clock.wall_ms += 61_000
        assert await refused(client)
        await all_told(client)
    assert told(server) == ["policy-rollback"]


async def refused(client: Client) -> bool:
    try:
        await client.policies()
    except AnswerNotTrusted as error:
        return "older" in str(error)
    return False


async def test_changed_files_are_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.policies()
    edit(tmp_path, "UPDATE state SET box = zeroblob(100) WHERE name = 'policies'", "DELETE FROM records")
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.policy is None
        event_id = await client.report_event("policy_violation", "low", "t")
        await all_told(client)
    assert event_id in server.stored
    assert told(server) == ["own-files-tampered"]
    assert "policies" in text_of(server, "own-files-tampered")


async def test_policies_that_were_kept_count_only_with_the_servers_signature(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.register()
        standing = client._parts.standing
        document = await client.policies()
        body = b'{"policy_version":99,"policies":[],"key_id":"k","signature":"%s"}' % document.signature.encode()
        from viworks import local_mode

        client._parts.desk.spool.remember(local_mode.policies_value(body, ""))  # type: ignore[union-attr]
        assert standing.policy.version == 7
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.policy is None
        await all_told(client)
    assert told(server) == ["policy-signature-wrong"]


async def test_a_clock_that_is_set_is_told_from_one_that_goes_on(tmp_path: Path) -> None:
    assert jump_ms(ClockWatch(0, 0), ClockWatch(3_600_000, 3_600_000)) == 0
    assert jump_ms(ClockWatch(0, 0), ClockWatch(3_600_000, 0)) == 3_600_000
    assert jump_ms(ClockWatch(3_600_000, 0), ClockWatch(0, 1_000)) == -3_601_000
    assert jump_ms(ClockWatch(0, None), ClockWatch(3_600_000, None)) == 0
    server, clock = FakeServer(), Clock()
    async with client_at(tmp_path, server, clock) as client:
        upkeep = client._run_of(lambda: METRICS)._upkeep
        await upkeep.step()
        clock.wall_ms += 7_200_000
        await upkeep.step()
        await all_told(client)
    assert told(server) == ["clock-jump"]
    assert "forward by 7" in text_of(server, "clock-jump")


def test_a_book_holds_back_what_repeats_and_says_how_much() -> None:
    book, now_ms = Book(), 1_000
    texts: list[Any] = []
    for number in range(MOST_OF_A_KIND + 3):
        for _ in range(2):
            book, text = entered(book, Finding(FindingKind.PIN_MISMATCH, f"pins {number}"), now_ms)
            texts.append(text)
    assert sum(each is not None for each in texts) == MOST_OF_A_KIND
    held_back = book.held_back["pin-mismatch"]
    book, text = entered(book, Finding(FindingKind.PIN_MISMATCH, "pins 0"), now_ms + REPEAT_MS)
    assert text == f"pins 0 ({held_back} more like it before)"
    book, text = entered(book, Finding(FindingKind.PIN_MISMATCH, "pins 0"), 0)
    assert text == "pins 0"  # a clock that was set back hides nothing
