"""`viworks verify`: what clients signed is proved in both privacy modes and across a rotation; tampered rows are found."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client as ClickHouse
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import NoEncryption

from schemas import codec, signing
from schemas.privacy import truncate_address
from schemas.sealing import Place, SealingKey, key_id_of
from schemas.sealing_suites import HybridPrivateKey, load_private, private_pem
from schemas.topics import EVENTS
from sinks.proof.columns import KINDS
from sinks.proof.keys import KeyHistory
from sinks.proof.reading import Choice, keys_of, keys_query, rows_of, rows_query
from sinks.proof.soc import SocKey
from sinks.proof.verification import Outcome, Verifier
from tests.end_to_end.system import System
from tests.infra.waiting import eventually
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.sinks import samples as records

ID = "verify-client"
DAY_MS = 86_400_000
ROWS = {"registrations": 1, "sessions": 4, "events": 4, "heartbeats": 2}


@dataclass
class Run:
    """A system that got messages of every kind under two keys of one client, the second half under the newer."""

    system: System
    sql: ClickHouse
    mode: str

    @property
    def soc_file(self) -> Path:
        return self.system.data_dir.with_name(f"{self.system.data_dir.name}.soc") / "sealing-private.pem"

    def soc_key(self) -> SocKey:
        return SocKey(load_private(self.soc_file.read_bytes(), None))

    def ask(self, query: str) -> Iterator[bytes]:
        yield self.sql.raw_query(query, fmt="JSONEachRow")

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(rows_of(self.ask(rows_query(table, Choice(ID)))))

    def verifier(self, *, with_soc_key: bool = True) -> Verifier:
        history = KeyHistory(keys_of(self.ask(keys_query(ID))), DAY_MS)
        return Verifier(history, self.soc_key() if with_soc_key else None)


@pytest.fixture(scope="module", params=["seal", "strict"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp(f"verify-{request.param}") / "data"
    settings = {"privacy_mode": request.param, "keep_heartbeat_proof": "true"}
    if request.param == "strict":
        install_hybrid(directory)
    with System(directory, 0, 30, **settings) as system, system.sql("admin") as sql:
        found = Run(system, sql, request.param)
        asyncio.run(send(found))
        for table, count in ROWS.items():
            query = f"SELECT count() FROM viworks.{table} WHERE client_id = '{ID}'"
            eventually(lambda q=query, n=count: sql.query(q).result_rows[0][0] >= n, f"{query} is {count}")
        keys = f"SELECT count() FROM viworks.client_keys WHERE client_id = '{ID}'"
        eventually(lambda: sql.query(keys).result_rows[0][0] == 2, "both keys are in the history")
        yield found


def install_hybrid(data_dir: Path) -> None:
    """A key of the second suite, as a ceremony makes it, where a first start would make one of the first."""
    private = HybridPrivateKey(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())
    for path, content in (
        (data_dir.with_name(f"{data_dir.name}.soc") / "sealing-private.pem", private_pem(private, NoEncryption())),
        (data_dir / "soc" / "sealing-public.pem", SealingKey(private.public_key()).pem().encode()),
    ):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)


async def send(run: Run) -> None:
    soc_key = SealingKey(run.soc_key().private_key.public_key())
    async with httpx2.AsyncClient(base_url=run.system.run["edge"], timeout=30, trust_env=False) as http:
        client = RustClient(http, ID)
        registration = samples.registration(now_ms(), ID, client.seed)
        fit(run.mode, soc_key, "registration", registration, "device_info", str(registration["timestamp"]))
        body, _ = samples.sign_as_rust(registration, client.seed)
        answer = await client.send("register", body, {"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        client.api_key = answer.json()["api_key"]
        await some(client, run.mode, soc_key, "1")
        await rotate(client)
        await some(client, run.mode, soc_key, "2")


async def some(client: RustClient, mode: str, soc_key: SealingKey, half: str) -> None:
    for number in range(2):
        event = samples.event(now_ms(), ID, f"event-{half}-{number}")
        fit(mode, soc_key, "event", event, "details", event["event_id"])
        assert (await client.post("events", event)).status_code == 202
        session = samples.session(now_ms(), ID, f"session-{half}-{number}")
        session["metadata"]["internal_ip"] = "10.0.0.7"
        fit(mode, soc_key, "session", session, "metadata", session["session_id"])
        assert (await client.post("sessions", session)).status_code == 202
    beat = samples.heartbeat(now_ms(), ID)
    beat["metrics"]["sealed"] = "secret"
    fit(mode, soc_key, "heartbeat", beat, "metrics", str(beat["timestamp"]))
    assert (await client.post("heartbeat", beat)).status_code == 202


def fit(mode: str, key: SealingKey, kind: str, message: dict[str, Any], group: str, message_id: str) -> None:
    """In strict mode the client itself seals what is sensitive, and cuts addresses."""
    if mode != "strict":
        return
    for name, value in message[group].items():
        if name in ("client_ip", "source_ip"):
            message[group][name] = truncate_address(value)
        elif name in ("description", "internal_ip", "sealed") or (group == "device_info" and name != "encrypted"):
            message[group][name] = key.seal(value.encode(), Place(ID, f"{kind}.{name}", message_id))


async def rotate(client: RustClient) -> None:
    seed, at = hashlib.sha256(b"another key").digest(), now_ms()
    public_key = signing.public_key_of(seed)
    old_key_id = signing.key_id(signing.public_key_of(client.seed))
    proof = signing.sign(signing.rotation_proof_bytes(ID, old_key_id, public_key, at), seed)
    message = {
        "client_id": ID,
        "public_key": signing.public_key_to_pem(public_key),
        "proof": signing.encode_signature(proof),
        "timestamp": at,
        "signature": "",
    }
    answer = await client.post("keys", message)
    assert answer.status_code in (200, 201), answer.text
    client.api_key, client.seed = answer.json()["api_key"], seed


def edited(name: str, value: Any) -> Any:
    """Another value of the same type."""
    if name.endswith("_pseudonym"):  # of a pseudonym only its being there can be told
        return "0" * 32 if value is None else None
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "x"]
    if name in ("signature", "signed_bytes", "public_key"):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    return (1 if name == "end_time" else "x") if value is None else f"{value}x"


@pytest.mark.parametrize("table", ROWS)
def test_untouched_rows_are_proved(run: Run, table: str) -> None:
    rows, verifier = run.rows(table), run.verifier()
    assert len(rows) == ROWS[table]
    assert [verifier.judge(table, row) for row in rows if verifier.judge(table, row).outcome is not Outcome.PROVED] == []
    assert len({row["key_id"] for row in rows}) == (1 if table == "registrations" else 2)


@pytest.mark.parametrize("table", ROWS)
def test_each_edited_column_is_found(run: Run, table: str) -> None:
    kind, verifier = KINDS[table], run.verifier()
    names = [*(column.name for column in kind.columns), *kind.sealed, *([kind.group] if kind.group else [])]
    names += ["key_id", "signature", "signed_bytes", "signed_bytes_sealed"]
    for row in run.rows(table):
        for name in names:
            verdict = verifier.judge(table, {**row, name: edited(name, row[name])})
            assert verdict.outcome is Outcome.FAULT, name


@pytest.mark.parametrize("table", ["sessions", "events", "heartbeats"])
def test_swapped_proofs_and_foreign_keys_are_found(run: Run, table: str) -> None:
    verifier = run.verifier()
    first, *_, last = sorted(run.rows(table), key=lambda row: int(row["_offset"]))
    proof = ("key_id", "signature", "signed_bytes", "signed_bytes_sealed")
    for names in (("signature",), ("signed_bytes",), ("key_id",), proof):
        swapped = {**first, **{name: last[name] for name in names}}
        assert verifier.judge(table, swapped).outcome is Outcome.FAULT, names
    late = {**first, "received_at": first["received_at"] + 2 * DAY_MS}
    early = {**last, "received_at": last["received_at"] - DAY_MS}
    for row in (late, early):
        assert verifier.judge(table, row).fault == "key_id was not the client's key at received_at"
    nobody = Verifier(KeyHistory((), DAY_MS), None)
    assert nobody.judge(table, first).fault == "key_id is no key that the client ever had"


def test_without_the_socs_key_it_says_so(run: Run) -> None:
    verifier = run.verifier(with_soc_key=False)
    verdict = verifier.judge("events", run.rows("events")[0])
    assert verdict.outcome is (Outcome.SEALED if run.mode == "seal" else Outcome.PROVED)


def test_an_event_of_the_server_is_told_from_one_that_was_relabelled(run: Run) -> None:
    row, verifier = run.rows("events")[0], run.verifier()
    assert verifier.judge("events", {**row, "origin": "edge"}).outcome is Outcome.FAULT
    blank = {**row, "origin": "edge", "key_id": "", "signature": "", "signed_bytes": ""}
    assert verifier.judge("events", blank).outcome is Outcome.UNSIGNED


@pytest.mark.parametrize(
    ("table", "column", "plain"),
    [
        ("events", "description", "Failed login attempt"),
        ("sessions", "internal_ip", "10.0.0.7"),
        ("heartbeats", "sealed", "secret"),
        ("registrations", "device_info", None),
    ],
)
def test_unseal_opens_every_row_as_clickhouse_writes_it(run: Run, table: str, column: str, plain: str | None) -> None:
    query = f"SELECT * FROM viworks.{table} WHERE client_id = '{ID}'"
    rows = run.sql.raw_query(query, fmt="JSONEachRow")
    key_id = run.soc_key().key_id
    assert key_id_of(json.loads(rows.splitlines()[0].decode(errors="replace"))[column]) == key_id
    command = [sys.executable, "-m", "infra", "unseal", "--key", str(run.soc_file)]
    done = subprocess.run(command, input=rows, capture_output=True, check=True)
    for row in map(json.loads, done.stdout.splitlines()):
        assert '"vws1:' not in json.dumps({name: value for name, value in row.items() if name != "signed_bytes"})
        signed = json.loads(row["signed_bytes"])
        assert row[column] == plain if plain else row[column]["os_type"] == samples.registration(0)["device_info"]["os_type"]
        assert signed["client_id"] == ID


def test_the_command_proves_a_client_and_names_a_forged_row(run: Run) -> None:
    options = ("--soc-key", str(run.soc_file))
    said = run.system.command("verify", "--client", ID, *options).stdout
    assert f"{sum(ROWS.values())} rows in" in said
    assert "0 faults" in said
    key_id = run.rows("events")[0]["key_id"]
    asyncio.run(forge(run, records.event("verify-forged", "e", key_id=key_id)))
    eventually(
        lambda: run.sql.query("SELECT 1 FROM viworks.events WHERE client_id = 'verify-forged'").result_rows, "it is a row"
    )
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run.system.command("verify", "--since", "1h", "--table", "events", *options)
    assert failed.value.returncode == 1
    assert "verify-forged: key_id is no key that the client ever had" in failed.value.stdout
    (row,) = rows_of(run.ask(rows_query("events", Choice("verify-forged"))))
    name = f"events:{EVENTS.name}:{row['_partition']}:{row['_offset']}"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run.system.command("verify", "--row", name)
    assert failed.value.stdout.startswith(f"{name}  verify-forged: ")


async def forge(run: Run, event: dict[str, Any]) -> None:
    """As somebody writes who has the broker, and no key of a client."""
    async with AIOKafkaProducer(bootstrap_servers=run.system.run["kafka"]) as producer:
        await producer.send_and_wait(EVENTS.name, codec.encode("event", event), key=event["client_id"].encode())
