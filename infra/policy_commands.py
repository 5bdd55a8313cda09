"""``viworks policy``: show and change what clients are told. Changes are orders to the registry, over Kafka."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from infra.errors import PolicyUnknown
from infra.options import Actor, Data, Kafka, broker_of
from schemas.commands import POLICIES

policy_app = typer.Typer(help="Show and change policies.", no_args_is_help=True)

_PolicyId = Annotated[str, typer.Argument(metavar="POLICY_ID", help="Letters, digits, and . _ - inside; up to 64.")]


@policy_app.command(name="list")
def list_policies(data: Data = None, kafka: Kafka = None) -> None:
    """List the policies; where several apply to a client, the uppermost is in force."""
    from infra.policy_list import as_table, read_policies

    for line in as_table(asyncio.run(read_policies(broker_of(data, kafka)))):
        typer.echo(line)


@policy_app.command()
def show(policy_id: _PolicyId, data: Data = None, kafka: Kafka = None) -> None:
    """Show a policy as JSON."""
    from infra.policy_list import as_json, read_policies

    for policy in asyncio.run(read_policies(broker_of(data, kafka))):
        if policy.policy_id == policy_id:
            typer.echo(as_json(policy))
            return
    raise PolicyUnknown("There is no such policy: `viworks policy list` shows those that there are.")


@policy_app.command(name="set")
def set_policy(  # noqa: PLR0913 - one option a member of the policy
    policy_id: _PolicyId,
    interval: Annotated[int, typer.Option("--interval", metavar="SECONDS", help="Between heartbeats, 15 to 300.")],
    capability: Annotated[str | None, typer.Option(help="Only for clients with this capability.")] = None,
    node_id: Annotated[str | None, typer.Option("--node-id", help="Only for clients of this node.")] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME[=VALUE]", help="Only for clients with this label, of any value without =.")
    ] = None,
    reporting: Annotated[
        list[str] | None,
        typer.Option(metavar="heartbeat|sessions|events", help="What to report; may be repeated. Default: all."),
    ] = None,
    key_max_age: Annotated[
        int | None, typer.Option("--key-max-age", metavar="SECONDS", help="Ask for another key after that; 3600 or more.")
    ] = None,
    maintenance_max: Annotated[
        int | None,
        typer.Option("--maintenance-max", metavar="SECONDS", help="In maintenance at most, 60 to 604800. Default: 4 hours."),
    ] = None,
    gone_after: Annotated[
        int | None,
        typer.Option("--gone-after", metavar="SECONDS", help="Gone after this silence, 86400 or more. Default: 30 days."),
    ] = None,
    priority: Annotated[int, typer.Option(help="Decides between equally specific policies; -1000 to 1000.")] = 0,
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Write a policy, new or in place of the one of that id. It applies to clients of which every given member holds."""
    members = {"capability": capability, "node_id": node_id, "label": label}
    body: dict[str, Any] = {
        "policy_id": policy_id,
        "heartbeat_interval": interval,
        "selector": {name: value for name, value in members.items() if value is not None},
        "key_max_age_s": key_max_age,
        "priority": priority,
    }
    defaulted = {"reporting": reporting or None, "maintenance_max": maintenance_max, "gone_after": gone_after}
    body |= {name: value for name, value in defaulted.items() if value is not None}
    _order("policy.set", body, broker_of(data, kafka), actor)


@policy_app.command()
def delete(policy_id: _PolicyId, data: Data = None, kafka: Kafka = None, actor: Actor = None) -> None:
    """Delete a policy; its version stays used."""
    _order("policy.delete", {"policy_id": policy_id}, broker_of(data, kafka), actor)


def _order(action: str, body: dict[str, Any], bootstrap: str, actor: str | None) -> None:
    from infra.administration import carried_out, order, user_name

    verdict = asyncio.run(order(bootstrap, POLICIES, action, body, actor or user_name()))
    details = carried_out(verdict)
    typer.echo(f"{action} {details['policy_id']}: version {details['version']}")
