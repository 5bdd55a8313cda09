"""The receivers file: what fits, and every fault at once with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processors.delivery.errors import ReceiversInvalid
from processors.delivery.receivers_file import read_receivers
from tests.processors.delivery.samples import SECRET, alert

GOOD = """
receivers:
  - name: soc
    type: webhook
    url: https://soc.example/hook
    secret_file: soc.secret
    format: alert
    timeout_s: 2.5
    give_up_after: 2h
    filters: {severity: medium, rules: [offline, brute_force], statuses: firing}
  - {name: am, type: alertmanager, url: "http://127.0.0.1:9093", generator_url: https://x.example/, secret_env: TOKEN}
  - name: siem
    type: syslog
    address: tls://[2001:db8::7]:6514
"""


def written(directory: Path, text: str | bytes) -> Path:
    (directory / "soc.secret").write_text(f"{SECRET}\n{SECRET}\n")
    path = directory / "receivers.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults(directory: Path, text: str | bytes, **environment: str) -> list[str]:
    path = written(directory, text)
    with pytest.raises(ReceiversInvalid) as raised:
        read_receivers(path, environment)
    return [fault.removeprefix(f"{path}:") for fault in raised.value.faults]


def test_what_fits_is_read(tmp_path: Path) -> None:
    soc, manager, siem = read_receivers(written(tmp_path, GOOD), {"TOKEN": "t0ken"})
    assert (soc.kind, soc.format, len(soc.secrets)) == ("webhook", "alert", 2)
    assert (soc.timeout_s, soc.give_up_after_s) == (2.5, 7_200)
    assert soc.group == "viworks-delivery-soc"
    assert (manager.secrets, manager.generator_url, manager.give_up_after_s) == ((b"t0ken",), "https://x.example/", 86_400)
    assert (siem.kind, siem.url) == ("syslog", "tls://[2001:db8::7]:6514")
    assert soc.filters.passes(alert(severity="medium", rule="offline"))
    assert not soc.filters.passes(alert(severity="low", rule="offline"))
    assert not soc.filters.passes(alert(severity="critical", rule="flapping"))
    assert not soc.filters.passes(alert(severity="critical", rule="offline", status="resolved"))
    assert siem.filters.passes(alert(severity="info", rule="anything", status="acknowledged"))


def test_secrets_and_addresses_are_not_shown(tmp_path: Path) -> None:
    shown = repr(read_receivers(written(tmp_path, GOOD), {"TOKEN": "t0ken"}))
    assert "soc.example" not in shown
    assert "t0ken" not in shown
    assert "1\\x" not in shown


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """receivers:
  - name: Bad Name
    type: webhook
    url: http://soc.example/hook
    secret: inline
    secret_file: missing
    timeout_s: 0
  - type: carrier_pigeon
    name: a
  - name: b
    type: webhook
    url: https://user:pa55@soc.example/
    secret_env: UNSET
    give_up_after: soon
    filters:
      severity: worst
      statuses: [firing, open]
      colour: red
  - name: b
    type: syslog
    address: tls://siem.example
    ca_file: receivers.yaml
  - {name: c, type: alertmanager, url: "ftp://am.example", filters: {statuses: [firing]}}
extra: 1
"""
    found = faults(tmp_path, text)
    expected = [
        (2, "a name has up to 64"), (2, "url is not https"), (2, "secret_file cannot be read"), (2, "there is no secret"),
        (5, "no member 'secret'"), (7, "timeout_s is not a number"), (8, "type is none of webhook, alertmanager, syslog"),
        (10, "carries a password"), (10, "there is no secret"), (14, "give_up_after is not a duration"),
        (16, "severity is none of"), (17, "statuses has something"), (18, "filters has no member 'colour'"),
        (19, "same name"), (19, "address is not tls"), (19, "ca_file cannot be read"), (23, "url is not https"),
        (23, "filters has no member 'statuses'"), (24, "the file has no member 'extra'"),
    ]  # fmt: skip
    missing = [(line, what) for line, what in expected if not any(f.startswith(f"{line}: ") and what in f for f in found)]
    assert not missing, found
    assert len(found) == len(expected), found
    assert "pa55" not in " ".join(found)
    assert "inline" not in " ".join(found)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1: the file is not a mapping"),
        ("receivers: 7", "1: receivers is not a list"),
        ("receivers:", "1: the file has no receivers"),
        ("- a", "1: the file is not a mapping"),
        ("receivers:\n  - 7\n", "2: a receiver is not a mapping"),
        ("a: [1\nb: 2", "2: not YAML"),
        ("a: 1\na: 2\n", "2: 'a' stands here for the second time"),
        ("? [1]\n: 2\n", "1: a key is not a word"),
        (BOMB, "2: anchors and aliases are not allowed"),
        ("a: !!python/object/apply:os.system [true]", "1: tags are not allowed"),
        ("a: !!int x", "1: tags are not allowed"),
        ("a: \x07", "1: not YAML"),
        (b"a: \xff\xfe", "1: not YAML"),
        ("a: " + "[" * 30 + "]" * 30, "1: nested too deeply"),
        ("[" * 5_000 + "]" * 5_000, "1: nested too deeply"),
        ("a: " + "9" * 5_000, "1: not a plain value"),
        ("--- 1\n--- 2\n", "2: a second document"),
        ("receivers: [" + "{}," * 65 + "]", "1: receivers is not a list of at most 64"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_hostile_files_are_told_in_bounded_time(text: str | bytes, fault: str, tmp_path: Path) -> None:
    assert any(found.startswith(fault) for found in faults(tmp_path, text)), faults(tmp_path, text)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(ReceiversInvalid, match="cannot be read: No such file"):
        read_receivers(tmp_path / "absent.yaml")
    with pytest.raises(ReceiversInvalid, match=re.escape("larger than")):
        read_receivers(written(tmp_path, "#" * 300_000))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://localhost:1/x", True), ("http://[::1]/x", True), ("http://127.9.9.9/x", True), ("https://a.example", True),
        ("http://127.0.0.1.evil.example/", False), ("http://localhost.evil.example/", False), ("https://", False),
        ("HTTPS://a.example", True), ("https://a.example/\\r\\nx", False), ("https://a b.example/", False),
        ("https://a.example:99999/", False), ("https://[::1/", False), ("file:///etc/passwd", False),
    ],
)  # fmt: skip
def test_only_loopback_is_spoken_to_in_the_clear(url: str, good: bool, tmp_path: Path) -> None:
    text = f'receivers: [{{name: a, type: webhook, url: "{url}", secret_env: S}}]'
    if good:
        assert len(read_receivers(written(tmp_path, text), {"S": SECRET})) == 1
    else:
        [fault] = faults(tmp_path, text, S=SECRET)
        assert "url is not" in fault
