"""What receivers get, held against the specifications' own words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from processors.delivery import alertmanager, cef, ocsf, syslog
from processors.delivery.alert import SEVERITIES, STATUSES, Alert, read_alert
from processors.delivery.alertmanager import Firing, FiringBook
from processors.delivery.receivers import Filters
from schemas import codec
from schemas.errors import CodecError
from tests.processors.delivery.samples import HOSTILE, alert, record

# Required attributes and enumerations of ocsf/ocsf-schema 1.8.0: events/base_event.json, events/findings/finding.json,
# events/findings/detection_finding.json, dictionary.json and objects/{metadata,product,finding_info,analytic,device,
# resource_details,observable}.json.
OCSF_REQUIRED = {
    "": ("activity_id", "category_uid", "class_uid", "finding_info", "metadata", "severity_id", "time", "type_uid"),
    "metadata": ("product", "version"),
    "metadata.product": ("name", "vendor_name"),
    "finding_info": ("uid", "title"),
    "finding_info.analytic": ("type_id",),
    "device": ("type_id",),
}
OCSF_ENUMS = {
    "activity_id": {1: "Create", 2: "Update", 3: "Close"},
    "status_id": {1: "New", 2: "In Progress", 4: "Resolved"},
    "severity_id": {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"},
}
OCSF_LABELS = {"activity_id": "activity_name", "status_id": "status", "severity_id": "severity"}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_finding_has_what_ocsf_requires(status: str, severity: str) -> None:
    finding = ocsf.detection_finding(alert(status=status, severity=severity), "1.0")
    for path, names in OCSF_REQUIRED.items():
        part: Any = finding
        for step in path.split(".") if path else ():
            part = part[step]
        assert set(names) <= set(part), path
    for name, captions in OCSF_ENUMS.items():
        assert finding[OCSF_LABELS[name]] == captions[finding[name]]
    assert finding["type_uid"] == finding["class_uid"] * 100 + finding["activity_id"]
    assert (finding["class_uid"], finding["category_uid"], finding["metadata"]["version"]) == (2004, 2, "1.8.0")
    assert "null" not in json.dumps(finding)


def test_a_finding_says_whom_it_is_about_and_why() -> None:
    one = alert(status="acknowledged", actor="ada", client_id="c-1", node_id="n-1", evidence={"deadline": 5})
    finding = ocsf.detection_finding(one, "1.0")
    assert finding["finding_info"]["uid"] == one.alert_id
    assert finding["metadata"]["uid"] == f"{one.alert_id}.acknowledged"
    assert finding["device"]["uid"] == "c-1"
    assert [(resource["type"], resource["uid"]) for resource in finding["resources"]] == [("client", "c-1"), ("node", "n-1")]
    for observable in finding["observables"]:
        number = int(re.fullmatch(r"resources\[(\d)]\.uid", observable["name"])[1])  # type: ignore[index]
        assert (observable["type_id"], observable["value"]) == (10, finding["resources"][number]["uid"])
    assert finding["evidences"] == [{"data": {"deadline": 5}}]
    assert finding["status_detail"] == "acknowledged by ada"
    assert not finding["is_alert"]


def test_a_finding_on_the_whole_fleet_names_nobody() -> None:
    finding = ocsf.detection_finding(alert(client_id="", node_id=None, evidence={}, group={}), "1.0")
    assert not {"device", "resources", "observables", "evidences", "unmapped", "status_detail"} & set(finding)


# Names of `postableAlert` and its `labelSet` in prometheus/alertmanager api/v2/openapi.yaml: all texts.
POSTABLE = {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_what_fires_ends_by_itself_five_minutes_from_now() -> None:
    one = alert(timestamp=1_700_000_000_000, client_id="c", node_id=None)
    posted = alertmanager.postable(Firing(one, one), 1_700_000_100_000, "https://soc.example/")
    assert set(posted) == POSTABLE
    assert posted["labels"] == {"alertname": "offline", "severity": "high", "client_id": "c", "alert_id": one.alert_id}
    assert (posted["startsAt"], posted["endsAt"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:20:00.000Z")
    assert all(RFC_3339.fullmatch(posted[name]) for name in ("startsAt", "endsAt"))
    assert all(isinstance(text, str) and text for text in (posted["labels"] | posted["annotations"]).values())


def test_an_end_has_the_labels_and_the_start_of_its_beginning() -> None:
    book = FiringBook(Filters())
    first = alert(timestamp=1_700_000_000_000)
    end = first._replace(status="resolved", timestamp=1_700_000_060_000, severity="low", node_id="another")
    book.note(first)
    posted = alertmanager.postable(book.note(end), 1_700_000_070_000)
    assert posted["labels"] == alertmanager.postable(Firing(first, first), 0)["labels"]
    assert (posted["startsAt"], posted["endsAt"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z")
    assert book.still([first.alert_id]) == []
    assert alertmanager.postable(book.note(end), 0) == posted, "a second attempt at the end has lost the beginning"
    book.settle(end)
    assert len(book) == 0


def test_the_book_knows_whom_it_told() -> None:
    book = FiringBook(Filters(least_severity="high"), most=2)
    first = alert(severity="high")
    book.restore(first)
    assert book.concerns(first._replace(severity="low", status="resolved"))
    assert not book.concerns(alert(severity="low"))
    book.restore(first._replace(suppressed_by="silence:1"))
    assert len(book) == 0
    more = [alert(severity="high") for _ in range(3)]
    for one in more:
        book.restore(one)
    assert [firing.first for ids in book.chunks(1) for firing in book.still(ids)] == more[1:]
    book.restore(alert(severity="low"))
    assert len(book) == 2


CEF_PAIR = re.compile(r"(?:^| )([A-Za-z0-9]+)=((?:\\.|[^\\=])*?)(?= [A-Za-z0-9]+=|$)", re.DOTALL)


CEF_KEYS = {"externalId", "act", "rt", "cat", "duid", "suser", "msg", "cs1", "cs2", "cs3"}
CEF_KEYS |= {f"cs{number}Label" for number in (1, 2, 3)}


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """A CEF line as a reader by the standard takes it apart."""
    *header, extension = line_fields(line)
    pairs = {key: re.sub(r"\\(.)", unescaped, text) for key, text in CEF_PAIR.findall(extension)}
    return [re.sub(r"\\([\\|])", r"\1", field) for field in header], pairs


def line_fields(line: str) -> list[str]:
    """The seven fields of the header, and the extension."""
    fields, start, position = [], 0, 0
    while len(fields) < 7:
        if line[position] == "|":
            fields.append(line[start:position])
            start = position + 1
        position += 2 if line[position] == "\\" else 1
    return [*fields, line[start:]]


def unescaped(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(match[1], match[1])


def test_cef_of_an_ordinary_alert() -> None:
    one = alert(client_id="c-1", evidence={"a": 1}, group={"b": "2"}, timestamp=1_700_000_000_000)
    header, pairs = parsed(cef.message(one, "1.2", 8_000))
    assert header == ["CEF:0", "ViWorkS", "ingest", "1.2", "offline", "silent since 92 s", "8"]
    assert pairs == {
        "externalId": one.alert_id, "act": "firing", "rt": "1700000000000", "cat": "offline", "duid": "c-1",
        "cs1Label": "node_id", "cs1": "node-7", "msg": "silent since 92 s", "cs2Label": "group", "cs2": '{"b":"2"}',
        "cs3Label": "evidence", "cs3": '{"a":1}',
    }  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_within_its_field(text: str) -> None:
    one = alert(rule=text, summary=text, client_id=text, node_id=text, actor=text, evidence={text: text}, group={"g": text})
    for limit in (600, 1_536, 7_680):
        line = cef.message(one, "1.2", limit)
        assert len(line.encode()) <= limit
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]", line)
        header, pairs = parsed(line)
        assert len(header) == 7
        assert header[:3] == ["CEF:0", "ViWorkS", "ingest"]
        assert header[6] == "8"
        assert pairs["externalId"] == one.alert_id
        assert set(pairs) <= CEF_KEYS
        message = syslog.message("high", one.timestamp, text, text, line, text[:100])
        assert b"\n" not in message
        assert message.startswith(b"<35>1 ")
        assert len(message.split(b" ", 6)[5]) <= 32


def test_the_head_of_a_syslog_message() -> None:
    message = syslog.message("critical", 1_700_000_000_123, "host 1", "", "text", 'a]"\\b')
    assert message == (
        b"<34>1 2023-11-14T22:13:20.123Z host_1 viworks - - "
        b'[origin software="ViWorkS ingest" swVersion="a\\]\\"\\\\b"] \xef\xbb\xbftext'
    )
    assert syslog.framed(b"ab\nc") == b"4 ab\nc"


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": "no json"}, {"evidence": "[]"}, {"evidence": '{"a":NaN}'}, {"group": "1"}, {"status": "open"},
        {"severity": "worst"}, {"alert_id": "a.b"}, {"alert_id": "a\r\nx: y"}, {"alert_id": ""}, {"timestamp": -1},
        {"emitted_at": 2**62}, {"evidence": "[" * 100_000},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_alert_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        read_alert(codec.encode("alert", record(**changes)))


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0\1", b"x" * 100])
def test_bytes_that_are_no_alert(value: bytes | None) -> None:
    with pytest.raises(CodecError):
        read_alert(value)


def test_an_older_alert_is_read() -> None:
    assert isinstance(alert(node_id=None, group="{}"), Alert)
