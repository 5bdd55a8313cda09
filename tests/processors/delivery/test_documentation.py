"""What docs/delivery.md shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from processors.clock import system_clock
from processors.delivery import metrics
from processors.delivery.receivers import KINDS
from processors.delivery.receivers_file import read_receivers
from processors.delivery.senders import sender_of
from tests.processors.delivery.http_receiver import HttpReceiver
from tests.processors.delivery.samples import SECRET, alert

PAGE = (Path(__file__).parents[3] / "docs/delivery.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_each_kind_of_receiver_has_an_example_that_fits(tmp_path: Path) -> None:
    (tmp_path / "soc.secret").write_text(SECRET)
    kinds = []
    for example in blocks("yaml"):
        (tmp_path / "receivers.yaml").write_text(example)
        kinds += [receiver.kind for receiver in read_receivers(tmp_path / "receivers.yaml")]
    assert sorted(kinds) == sorted(KINDS)


async def test_the_ten_lines_verify_a_webhook(receiver: HttpReceiver, tmp_path: Path) -> None:
    [program] = blocks("python")
    names: dict[str, Any] = {}
    exec(program, names)
    (tmp_path / "soc.secret").write_text(f"whsec_{'bmV3' * 8}\n{SECRET}\n")
    example = blocks("yaml")[0].replace("https://soc.example/viworks", receiver.url)
    (tmp_path / "receivers.yaml").write_text(example)
    sender = sender_of(read_receivers(tmp_path / "receivers.yaml")[0], system_clock)
    await sender.send(alert())
    await sender.close()
    [request] = receiver.requests
    for secret in (SECRET, f"whsec_{'bmV3' * 8}"):
        names["verify"](secret, request.headers, request.body)
    with pytest.raises(ValueError, match="not signed"):
        names["verify"](SECRET, request.headers, request.body + b" ")
    with pytest.raises(ValueError, match="not signed"):
        names["verify"](f"whsec_{'b3RoZXIh' * 4}", request.headers, request.body)
    with pytest.raises(ValueError, match="too old"):
        names["verify"](SECRET, {**request.headers, "webhook-timestamp": "1614265330"}, request.body)


def metrics_table() -> list[str]:
    rows = []
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            described = metric.describe()[0]
            name = described.name + ("_total" if described.type == "counter" else "")
            labels = ", ".join(metric._labelnames)
            rows.append(f"| `{name}` | {described.type} | {labels} | {described.documentation.rstrip('.')} |")
    return rows


def test_the_page_has_each_metric_and_no_other() -> None:
    documented = [line for line in PAGE.splitlines() if line.startswith("| `viworks_delivery_")]
    assert documented == metrics_table()
