"""``viworks alerts`` and ``viworks rules`` as their user sees them, through a worker on the real broker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from infra.alert_list import alert_table
from infra.kafka import EmbeddedKafka
from schemas.topics import ALERTS, EVENTS
from tests.deadline import eventually
from tests.processors.harness import RULES, Lab, worker_settings, working
from tests.processors.samples import a_client, event

Done = subprocess.CompletedProcess[str]


async def viworks(bootstrap: str, *arguments: str) -> Done:
    command = [sys.executable, "-m", "infra", *arguments]
    environment = {**os.environ, "VIWORKS_KAFKA": bootstrap}
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


async def test_alerts_are_listed_acknowledged_and_silenced(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    bootstrap, client, quiet = kafka.bootstrap, a_client(), a_client()
    async with working(worker_settings(bootstrap, tmp_path)), Lab(bootstrap) as lab:
        await lab.send(EVENTS, event(client, severity="critical"))
        [alert] = await lab.wait_for(ALERTS, client_id=client)
        acknowledged, silenced, refused = await asyncio.gather(
            viworks(bootstrap, "alerts", "ack", alert["alert_id"], "--reason", "on it", "--actor", "ann"),
            viworks(
                bootstrap, "alerts", "silence", "--client", quiet, "--for", "2h", "--reason", "change", "--actor", "ann"
            ),
            viworks(bootstrap, "alerts", "ack", "nothing"),
        )
        assert acknowledged.returncode == silenced.returncode == 0, acknowledged.stderr + silenced.stderr
        assert (refused.returncode, "Refused: no alert of this id stands." in refused.stderr) == (1, True)
        await lab.send(EVENTS, event(quiet, severity="critical"))
        await lab.wait_for(ALERTS, client_id=quiet, status="suppressed")
        silence_id = silenced.stdout.strip()
        listed, everything, silences = await asyncio.gather(
            viworks(bootstrap, "alerts", "list"),
            viworks(bootstrap, "alerts", "list", "--all"),
            viworks(bootstrap, "alerts", "silences"),
        )
        [row] = [line for line in listed.stdout.splitlines() if client in line]
        assert row.split()[:4] == [alert["alert_id"], "high_severity", "critical", "acknowledged"]
        assert (quiet in listed.stdout, quiet in everything.stdout) == (False, True)
        [row] = [line for line in silences.stdout.splitlines() if silence_id in line]
        assert row.split()[1:4] == ["any", quiet, "any"]
        assert row.split()[-2:] == ["ann", "change"]

        ended = await viworks(bootstrap, "alerts", "unsilence", silence_id)
        assert ended.returncode == 0, ended.stderr
        await lab.wait_for(ALERTS, client_id=quiet, status="firing")
        assert await eventually(lambda: not_silenced(bootstrap, silence_id), 30)


async def not_silenced(bootstrap: str, silence_id: str) -> bool:
    return silence_id not in (await viworks(bootstrap, "alerts", "silences")).stdout


async def test_what_is_wrong_with_the_words_is_told_before_an_order_is_given() -> None:
    without, unit = await asyncio.gather(
        viworks("127.0.0.1:1", "alerts", "silence", "--for", "2h"),
        viworks("127.0.0.1:1", "alerts", "silence", "--rule", "offline", "--for", "2 hours"),
    )
    assert (without.returncode, "--client" in without.stderr) == (2, True)
    assert (unit.returncode, "such as 30m" in unit.stderr) == (2, True)


async def test_rules_are_checked_and_shown(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(RULES.read_text() + "- {id: nothing, colour: red}\n")
    good, faults, shown, shipped = await asyncio.gather(
        viworks("", "rules", "check", str(RULES)),
        viworks("", "rules", "check", str(bad)),
        viworks("", "rules", "show", str(RULES)),
        viworks("", "rules", "show"),
    )
    assert (good.returncode, good.stdout) == (0, f"{RULES}: no fault\n")
    assert faults.returncode == 1
    assert f"{bad}:{len(bad.read_text().splitlines())}: " in faults.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()][:2] == ["rule", "offline"]
    assert "mass_offline_fleet" in shipped.stdout


def test_other_people_s_text_does_not_steer_the_terminal() -> None:
    alert = {
        "alert_id": "a", "rule": "r", "severity": "high", "status": "firing", "timestamp": 0, "client_id": "c\x1b[2J\n",
        "node_id": None, "summary": "s\r",
    }  # fmt: skip
    [_, row] = alert_table([alert], everything=False)
    assert row.isprintable()
    assert row.endswith("c?[2J?                  s?")
