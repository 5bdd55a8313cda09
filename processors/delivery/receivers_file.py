"""Reads the receivers file: YAML, all faults at once with their lines, secrets only from files and the environment.

receivers:
  - name: soc
    type: webhook
    url: https://soc.example/viworks
    secret_file: /etc/viworks/soc.secret
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from processors.delivery.alert import SEVERITIES, STATUSES
from processors.delivery.errors import ReceiversInvalid
from processors.delivery.receivers import (
    ALERTMANAGER,
    DAY_S,
    FORMATS,
    KINDS,
    OCSF,
    SCHEMES,
    SYSLOG,
    TIMEOUT_S,
    WEBHOOK,
    Filters,
    Receiver,
)
from processors.delivery.signing import parse_secret
from processors.yaml_document import Members, Value, load
from processors.yaml_nodes import Faults, YamlInvalid

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_MOST_RECEIVERS, _MOST_SECRETS, _MOST_SECRET_BYTES = 64, 4, 4_096
_WEEK_MS = 7 * 86_400_000
Environment = Mapping[str, str]


def read_receivers(path: Path, environment: Environment = os.environ) -> list[Receiver]:
    """The receivers of a file; names of files in it are relative to its directory.

    Raises:
        ReceiversInvalid: with every fault, its file and its line; no value and no secret is in it.
    """
    faults = Faults(str(path))
    try:
        document = Members(load(path, faults), "the file", faults)
        listed = document.take("receivers", required=True)
        document.finish()
        found = _receivers(listed, faults, _Secrets(path.parent, environment))
        faults.raise_any()
    except YamlInvalid as error:
        raise ReceiversInvalid(error.faults) from None
    return found


def _receivers(listed: Value | None, faults: Faults, secrets: _Secrets) -> list[Receiver]:
    if listed is None:
        return []
    if not isinstance(listed.data, list) or len(listed.data) > _MOST_RECEIVERS:
        faults.add(listed.line, f"receivers is not a list of at most {_MOST_RECEIVERS}")
        return []
    found: dict[str, Receiver] = {}
    for value in listed.data:
        receiver = _receiver(Members(value, "a receiver", faults), secrets)
        if receiver.name in found:
            faults.add(value.line, "another receiver has the same name")
        found[receiver.name] = receiver
    return list(found.values())


def _receiver(members: Members, secrets: _Secrets) -> Receiver:
    """A receiver, of no use where a fault was noted."""
    kind = members.text("type", required=True, among=KINDS) or ""
    give_up_ms = members.duration_ms("give_up_after", 1_000, _WEEK_MS)
    receiver = Receiver(
        name=_name(members),
        kind=kind,
        url=_address(members, kind),
        secrets=secrets.read(members, kind),
        format=(members.text("format", among=FORMATS) if kind == WEBHOOK else None) or OCSF,
        timeout_s=members.number("timeout_s", 0.1, 120) or TIMEOUT_S,
        give_up_after_s=DAY_S if give_up_ms is None else give_up_ms / 1000,
        ca_file=_ca_file(members, secrets.directory),
        generator_url=_generator_url(members) if kind == ALERTMANAGER else None,
        filters=_filters(members, kind),
    )
    members.finish()
    return receiver


def _name(members: Members) -> str:
    name = members.text("name", required=True) or ""
    if name and not _NAME.fullmatch(name):
        members.wrong("a name has up to 64 of a-z, 0-9 and, inside, -")
    return name


def _filters(members: Members, kind: str) -> Filters:
    value = members.take("filters")
    if value is None:
        return Filters()
    filters = members.inner(value, "filters")
    severity = filters.text("severity", among=SEVERITIES) or SEVERITIES[0]
    rules = filters.texts("rules")
    statuses = filters.texts("statuses", among=STATUSES) if kind != ALERTMANAGER else ()
    filters.finish()
    return Filters(severity, rules, statuses or STATUSES)


def _address(members: Members, kind: str) -> str:
    name = "address" if kind == SYSLOG else "url"
    address = members.text(name, required=bool(kind))
    if address is None:
        return ""
    parts = _split(address)
    if parts is None or "@" in parts.netloc:
        members.wrong(f"{name} is not an address, or carries a password, which belongs into secret_file or secret_env")
    elif kind == SYSLOG:
        if parts.scheme not in SCHEMES or parts.port is None or parts.path or parts.query:
            members.wrong("address is not tls://host:port, tcp://host:port or udp://host:port")
    elif parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        members.wrong("url is not https://; http:// is taken for loopback addresses only")
    return address


def _generator_url(members: Members) -> str | None:
    url = members.text("generator_url")
    parts = _split(url) if url else None
    if url and (parts is None or parts.scheme not in ("http", "https")):
        members.wrong("generator_url is not an http:// or https:// address")
    return url


def _split(address: str) -> SplitResult | None:
    """The parts of an address with a host; None where it has none, or blanks or controls somewhere."""
    try:
        parts = urlsplit(address)
        whole = bool(parts.hostname) and parts.port != 0 and address.isprintable() and " " not in address
    except ValueError:
        return None
    return parts if whole else None


def is_loopback(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ca_file(members: Members, directory: Path) -> Path | None:
    text = members.text("ca_file")
    if text is None:
        return None
    path = directory / text
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        members.wrong("ca_file cannot be read, or has no certificates in PEM")
    return path


class _Secrets:
    """Where secrets are read from: one a line, the newest first."""

    def __init__(self, directory: Path, environment: Environment) -> None:
        self.directory = directory
        self._environment = environment

    def read(self, members: Members, kind: str) -> tuple[bytes, ...]:
        if kind == SYSLOG:
            return ()
        text = self._text(members)
        lines = (text or "").split()
        if not lines and (text is not None or kind == WEBHOOK):
            members.wrong("there is no secret: name a file that has one as secret_file, or a variable as secret_env")
        if len(lines) > (_MOST_SECRETS if kind == WEBHOOK else 1):
            members.wrong("there are too many secrets")
        try:
            return tuple(parse_secret(line) if kind == WEBHOOK else line.encode("ascii") for line in lines)
        except ValueError as error:
            members.wrong("the token is not ASCII" if isinstance(error, UnicodeError) else str(error))
            return ()

    def _text(self, members: Members) -> str | None:
        file, variable = members.text("secret_file"), members.text("secret_env")
        if file and variable:
            members.wrong("there are both secret_file and secret_env")
        if variable:
            return self._environment.get(variable, "")
        return self._file(members, self.directory / file) if file else None

    def _file(self, members: Members, path: Path) -> str:
        try:
            with path.open(encoding="utf-8") as opened:
                return opened.read(_MOST_SECRET_BYTES)
        except (OSError, UnicodeError):
            members.wrong("secret_file cannot be read")
            return ""
