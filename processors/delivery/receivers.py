"""What a receiver is: where alerts go, in which form, and which of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from processors.delivery.alert import SEVERITIES, STATUSES, Alert

WEBHOOK, ALERTMANAGER, SYSLOG = "webhook", "alertmanager", "syslog"
KINDS = (WEBHOOK, ALERTMANAGER, SYSLOG)
OCSF, PLAIN = "ocsf", "alert"
FORMATS = (OCSF, PLAIN)
SCHEMES = ("tls", "tcp", "udp")
TIMEOUT_S = 10.0
DAY_S = 86_400.0


class Filters(NamedTuple):
    """Which alerts: of this severity or above, of these rules (none: of all), with these statuses."""

    least_severity: str = SEVERITIES[0]
    rules: tuple[str, ...] = ()
    statuses: tuple[str, ...] = STATUSES

    def passes(self, alert: Alert) -> bool:
        """Whether all of them hold of an alert."""
        return (
            SEVERITIES.index(alert.severity) >= SEVERITIES.index(self.least_severity)
            and alert.status in self.statuses
            and (not self.rules or alert.rule in self.rules)
        )


@dataclass(frozen=True, slots=True)
class Receiver:
    """One entry of the receivers file. Two that are equal are served alike, the contents of their secrets included.

    Attributes:
        name: names the consumer group too, so another name begins anew.
        kind: webhook, alertmanager or syslog.
        url: of a webhook; of Alertmanager without ``/api/v2/alerts``; of syslog ``tls://``, ``tcp://`` or ``udp://host:port``.
        secrets: the keys of a webhook's signatures; of Alertmanager a token for ``Authorization: Bearer``.
        format: a webhook's body.
        filters: what it gets.
        timeout_s: of one attempt.
        give_up_after_s: an older alert becomes a dead letter, see ``retry.Attempts``.
        ca_file: whom to trust instead of the system's authorities.
        generator_url: where Alertmanager's users find more.
    """

    name: str
    kind: str
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    format: str = OCSF
    filters: Filters = Filters()  # noqa: RUF009 - immutable
    timeout_s: float = TIMEOUT_S
    give_up_after_s: float = DAY_S
    ca_file: Path | None = None
    generator_url: str | None = None

    @property
    def group(self) -> str:
        """Its consumer group."""
        return f"viworks-delivery-{self.name}"
