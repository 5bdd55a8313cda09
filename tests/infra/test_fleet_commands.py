from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.commands import app
from infra.errors import FleetNotRun, ScenarioInvalid
from infra.fleet_scenarios import shipped
from tests.infra.test_fleet_scenarios import FAULTY, WHOLE


def invoked(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, ["fleet", *arguments])
    return result.exit_code, result.output, result.exception


def test_the_shipped_scenarios_are_listed() -> None:
    status, output, _ = invoked("--list")
    assert (status, output.split()) == (0, shipped())


def test_a_scenario_is_checked_without_a_server(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(WHOLE)
    assert invoked(str(file), "--check") == (0, f"{file}: no fault\n", None)
    file.write_text(FAULTY)
    _, _, error = invoked(str(file), "--check")
    assert isinstance(error, ScenarioInvalid)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--connections", "many"),
        ("--server", "http://user@host:port", "--clients", "1"),
        ("--server", "https://127.0.0.1:1", "--clients", "1"),
        ("--server", "https://127.0.0.1:1", "--ca", "/none.pem", "--register-at", "nowhere", "--clients", "1"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_sentence(arguments: tuple[str, ...]) -> None:
    _, _, error = invoked(*arguments)
    assert isinstance(error, FleetNotRun)


@pytest.mark.parametrize("text", ["soon", "0s", "5"])
def test_a_duration_that_is_none(text: str) -> None:
    status, output, _ = invoked("--duration", text)
    assert status == 2
    assert "--duration is not a duration" in " ".join(output.split())
