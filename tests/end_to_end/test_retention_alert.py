"""Retention that fails is an alert: a real sink says so in the audit, the real processors make the alert of it."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

import yaml

from infra.kafka import EmbeddedKafka
from processors.rules import loading
from schemas.topics import ALERTS, AUDIT
from tests.processors.harness import Lab, evidence, worker_settings, working
from tests.sinks.sink_process import SinkProcess


def one_shipped_rule(rule: str, directory: Path) -> Path:
    """A file with this one of the rules that are shipped: those about the whole fleet would fire without one."""
    rules = yaml.safe_load(Path(loading.__file__).with_name(loading.SHIPPED).read_text())["rules"]
    file = directory / "one-rule.yaml"
    file.write_text(yaml.safe_dump({"rules": [each for each in rules if each["id"] == rule]}))
    return file


async def test_a_sink_that_cannot_keep_retention_raises_the_alert(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    key, manifest = tmp_path / "audit.key", tmp_path / "data" / "retention" / "manifest.jsonl"
    key.write_bytes(base64.b64encode(bytes(32)))
    manifest.parent.mkdir(parents=True)
    manifest.write_text('"no entry of a manifest"\n')
    settings = worker_settings(own_kafka.bootstrap, tmp_path, rules=one_shipped_rule("retention_failed", tmp_path))
    sink = SinkProcess(own_kafka.bootstrap, tmp_path, f"sinks-{uuid.uuid4()}", audit_key_file=str(key))
    async with Lab(own_kafka.bootstrap) as lab, working(settings), sink:
        record, *_ = await lab.wait_for(AUDIT, action="retention_run", outcome="failed", within_s=30)
        alert, *_ = await lab.wait_for(ALERTS, rule="retention_failed", within_s=30)
    assert record["details"] == '{"fault":"ManifestInvalid"}'
    assert (alert["status"], alert["severity"], alert["timestamp"]) == ("firing", "high", record["timestamp"])
    assert evidence(alert) == {"action": "retention_run", "outcome": "failed", "actor": "retention", "subject": ""}
