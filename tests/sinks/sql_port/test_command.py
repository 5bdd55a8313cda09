"""``viworks sql`` against an open port."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

from typer.testing import CliRunner, Result

from infra import run_file
from infra.commands import app
from sinks.sql_port.tokens import load
from tests.sinks.sql_port.port import FIRST, Port


async def viworks(port: Port, data_dir: Path, *arguments: str) -> Result:
    """Run the command on a data directory whose supervisor says that the port is its own."""
    token = data_dir / "first-token"
    token.write_text(FIRST)
    run_file.write(data_dir, {"sql": port.url, "sql_token_file": str(token)})
    return await asyncio.to_thread(CliRunner().invoke, app, ["sql", *arguments, "--data", str(data_dir)])


async def test_one_statement(port: Port, tmp_path: Path) -> None:
    assert (await viworks(port, tmp_path, "-c", "SELECT 1 AS x, 'a'")).stdout == "1\ta\n"
    assert (await viworks(port, tmp_path, "-c", "SELECT 1 AS x", "--format", "JSONEachRow")).stdout == '{"x":1}\n'
    refused = await viworks(port, tmp_path, "-c", "SELECT * FROM audit")
    assert "Code: 497" in str(refused.exception)


async def test_the_shell(port: Port, tmp_path: Path) -> None:
    token = tmp_path / "first-token"
    token.write_text(FIRST)
    run_file.write(tmp_path, {"sql": port.url, "sql_token_file": str(token)})
    said = "SELECT 40 +\n2 AS answer;\n\\dt\n\\d fleet_now\n"
    done = await asyncio.to_thread(CliRunner().invoke, app, ["sql", "--data", str(tmp_path)], input=said)
    assert done.exit_code == 0, done.output
    assert "42" in done.stdout
    assert "fleet_now" in done.stdout
    assert "state_since" in done.stdout
    assert stat.S_IMODE((tmp_path / "sql-history").stat().st_mode) == 0o600


async def test_tokens_are_made_listed_and_revoked(port: Port, tmp_path: Path) -> None:
    made = await viworks(port, tmp_path, "tokens", "create", "grafana", "--role", "auditor")
    secret = made.stdout.strip()
    path = tmp_path / "secrets" / "sql-tokens.json"
    (token,) = load(path)
    assert (token.name, token.role) == ("grafana", "auditor")
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "grafana" in (await viworks(port, tmp_path, "tokens", "list")).stdout
    for arguments in (
        ("create", "grafana", "--role", "admin"),
        ("create", "../x", "--role", "admin"),
        ("create", "y", "--role", "z"),
    ):
        assert (await viworks(port, tmp_path, "tokens", *arguments)).exit_code == 1
    assert (await viworks(port, tmp_path, "tokens", "revoke", "nobody")).exit_code == 1
    assert (await viworks(port, tmp_path, "tokens", "revoke", "grafana")).exit_code == 0
    assert load(path) == []


async def test_this_machine_asks_in_a_role(port: Port, tmp_path: Path) -> None:
    done = await viworks(port, tmp_path, "--role", "admin", "-c", "SELECT 1")
    assert "AUTHENTICATION_FAILED" in str(done.exception)
    entries = json.loads((tmp_path / "secrets" / "sql-tokens.json").read_text())
    assert [(entry["name"], entry["role"]) for entry in entries] == [("local-admin", "admin")]
    again = await viworks(port, tmp_path, "--role", "admin", "-c", "SELECT 1")
    assert json.loads((tmp_path / "secrets" / "sql-tokens.json").read_text()) == entries, again.output
