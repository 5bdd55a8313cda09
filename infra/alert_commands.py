"""``viworks alerts`` and ``viworks rules``. What changes something is an order to the alert desk, over Kafka."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import RulesFaulty
from infra.options import Actor, Data, Kafka, broker_of
from processors.durations import duration_ms

alerts_app = typer.Typer(help="List, acknowledge and silence alerts.", no_args_is_help=True)
rules_app = typer.Typer(help="Check and show the rules that alerts come from.", no_args_is_help=True)


_Reason = Annotated[str, typer.Option(help="For the audit.")]


def _duration_ms(text: str) -> int:
    found = None if text.endswith("ms") else duration_ms(text)
    if found is None:
        raise typer.BadParameter("a duration is a number and a unit, such as 30m, 2h, 7d")
    return found


@alerts_app.command(name="list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are resolved or suppressed.")] = False,
    data: Data = None,
    kafka: Kafka = None,
) -> None:
    """List the alerts that stand, of those that changed within the last seven days."""
    from infra.alert_list import alert_table, read_alerts

    alerts = asyncio.run(read_alerts(broker_of(data, kafka)))
    for line in alert_table(alerts, everything):
        typer.echo(line)


@alerts_app.command()
def ack(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT_ID")],
    reason: _Reason = "",
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Say that somebody takes care of an alert."""
    _order(alert_id, "alert.acknowledge", {"reason": reason or None}, broker_of(data, kafka), actor)
    typer.echo(f"alert.acknowledge {alert_id}: done", err=True)


@alerts_app.command()
def silence(  # noqa: PLR0913 - one option a member of the silence
    duration: Annotated[int, typer.Option("--for", metavar="DURATION", parser=_duration_ms, help="Such as 30m, 2h, 7d.")],
    rule: Annotated[str | None, typer.Option(help="Only alerts of this rule.")] = None,
    client: Annotated[str | None, typer.Option(metavar="CLIENT_ID", help="Only alerts about this client.")] = None,
    node: Annotated[str | None, typer.Option(metavar="NODE_ID", help="Only alerts about this node and its clients.")] = None,
    reason: _Reason = "",
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Tell nobody of alerts for a while; all that is given must fit. Prints the silence's id."""
    silence_id = str(uuid.uuid4())
    members = {"rule": rule, "client_id": client, "node_id": node, "reason": reason or None}
    if rule is client is node is None:
        raise typer.BadParameter("name a --rule, a --client or a --node")
    _order(silence_id, "alert.silence", {**members, "duration_ms": duration}, broker_of(data, kafka), actor)
    typer.echo(silence_id)


@alerts_app.command()
def unsilence(
    silence_id: Annotated[str, typer.Argument(metavar="SILENCE_ID")],
    reason: _Reason = "",
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """End a silence now. Alerts that stand and were kept back are told."""
    _order(silence_id, "alert.unsilence", {"reason": reason or None}, broker_of(data, kafka), actor)
    typer.echo(f"alert.unsilence {silence_id}: done", err=True)


@alerts_app.command()
def silences(data: Data = None, kafka: Kafka = None) -> None:
    """List the silences that hold or will."""
    from infra.alert_list import read_silences, silence_table

    for line in silence_table(asyncio.run(read_silences(broker_of(data, kafka)))):
        typer.echo(line)


@rules_app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Check a file of rules; every fault is named with its line."""
    from processors.rules.loading import check as faults_of

    faults = faults_of(file)
    if faults:
        raise RulesFaulty(f"{file} has faults: none of its rules is used until they are mended.", faults)
    typer.echo(f"{file}: no fault")


@rules_app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Default: VIWORKS_RULES, else the shipped rules.")
    ] = None,
) -> None:
    """List the rules of a file."""
    from infra.rule_list import read, rule_table

    for line in rule_table(read(file)):
        typer.echo(line)


@rules_app.command()
def sql(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Default: VIWORKS_RULES, else the shipped rules.")
    ] = None,
    rule: Annotated[str | None, typer.Option(metavar="ID", help="Only this rule.")] = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Such as 30m, 2h, 7d.")] = "1d",
) -> None:
    """Print each rule as a question to the warehouse: what it would have found in what is kept."""
    from infra.rule_list import read
    from infra.rule_queries import rule_query

    rules, since_s = read(file), _duration_ms(since) // 1000
    if rule is not None and rules.rule(rule) is None:
        raise typer.BadParameter(f"the file has no rule {rule!r}", param_hint="--rule")
    chosen = [each for each in rules.rules if rule in (None, each.id)]
    typer.echo(";\n\n".join(rule_query(each, since_s) for each in chosen) + ";")


def _order(subject: str, action: str, body: dict[str, Any], bootstrap: str, actor: str | None) -> None:
    from infra.administration import carried_out, order, user_name
    from schemas.topics import SIGNALS

    given = {name: value for name, value in body.items() if value is not None}
    carried_out(asyncio.run(order(bootstrap, subject, action, given, actor or user_name(), topic=SIGNALS)))
