"""``viworks enroll``, ``viworks clients``, ``viworks keys``: who may speak. All but the last give orders to the registry."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.options import Actor, Data, Kafka, broker_of
from infra.settings import InfraSettings
from schemas import enrolment_tokens
from schemas.commands import EVERYBODY

clients_app = typer.Typer(help="Approve, revoke and reinstate clients.", no_args_is_help=True)
keys_app = typer.Typer(help="The server's own keys.", no_args_is_help=True)

_ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID")]
_Reason = Annotated[str, typer.Option(help="For the audit.")]


def enroll(
    uses: Annotated[int, typer.Option(min=0, max=10_000, help="For how many clients; 0 for any number.")] = 1,
    hours: Annotated[float, typer.Option(min=0.01, max=8760, help="Until it expires.")] = 24.0,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME[=VALUE]", help="Of its clients; may be repeated.")] = None,
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Make an enrolment token and print it: one line, for a client's X-Enrolment-Token. It is shown only now."""
    token = enrolment_tokens.make()
    body = {
        "secret_hash": token.secret_hash.hex(),
        "uses": uses,
        "expires_at": int((time.time() + hours * 3600) * 1000),
        "labels": label or [],
    }
    _order(token.token_id, "enrolment.create", body, data, kafka, actor)
    typer.echo(token.text)


def unenroll(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="The middle part of the token.")],
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Revoke an enrolment token; clients that have used it stay."""
    _order(token_id, "enrolment.revoke", {}, data, kafka, actor)


@clients_app.command()
def approve(
    client_id: _ClientId,
    key_id: Annotated[str | None, typer.Option("--key-id", help="Only if it registered this key.")] = None,
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Let a client in that waits (SELECT client_id, key_id FROM viworks.clients WHERE status = 'pending')."""
    _order(client_id, "client.approve", {"key_id": key_id}, data, kafka, actor)


@clients_app.command()
def revoke(client_id: _ClientId, reason: _Reason = "", data: Data = None, kafka: Kafka = None, actor: Actor = None) -> None:
    """End a client's API keys and certificates at once; it cannot register until it is reinstated."""
    _order(client_id, "client.revoke", {"reason": reason}, data, kafka, actor)


@clients_app.command()
def reinstate(
    client_id: _ClientId, reason: _Reason = "", data: Data = None, kafka: Kafka = None, actor: Actor = None
) -> None:
    """Let a revoked client register again, with the key that it had."""
    _order(client_id, "client.reinstate", {"reason": reason}, data, kafka, actor)


@clients_app.command(name="revoke-keys")
def revoke_keys(
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID|--all")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Of all clients, as far as they exist now.")] = False,
    reason: _Reason = "",
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """End API keys at once. Clients register again by themselves and get new ones."""
    if everybody == bool(client_id):
        raise typer.BadParameter("name one client, or say --all")
    body: dict[str, Any] = {"reason": reason}
    if everybody:
        body["issued_before"] = int(time.time() * 1000)
    _order(EVERYBODY if everybody else client_id, "client.revoke_keys", body, data, kafka, actor)


@clients_app.command(name="allow-key")
def allow_key(
    client_id: _ClientId,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="16 hex digits, as the conflict's event names it.")],
    reason: _Reason = "",
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Let a client register with another key, as after a device was set up anew."""
    _order(client_id, "client.allow_key", {"key_id": key_id, "reason": reason}, data, kafka, actor)


@keys_app.command(name="rotate-tokens")
def rotate_tokens(
    delay: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Until it makes API keys.")] = 60.0,
    data: Data = None,
) -> None:
    """Make a new server key for API keys. The former ones go on opening theirs, so nobody has to register again."""
    from infra.key_files import rotate_token_keys

    kid = rotate_token_keys(InfraSettings.load(data_dir=data).data_dir, time.time_ns() // 1_000_000, delay)
    typer.echo(f"key {kid} makes API keys in {delay:.0f} s")


@keys_app.command(name="rotate-audit")
def rotate_audit(data: Data = None) -> None:
    """Make a new key for the audit log's checkpoints. What the former one signed can still be verified."""
    from infra.key_files import rotate_audit_key

    rotate_audit_key(InfraSettings.load(data_dir=data).data_dir)
    typer.echo("a new key signs from the next checkpoint on")


def _order(subject: str, action: str, body: dict[str, Any], data: Path | None, kafka: str | None, actor: str | None) -> None:
    from infra.administration import carried_out, order, user_name

    carried_out(asyncio.run(order(broker_of(data, kafka), subject, action, body, actor or user_name())))
    typer.echo(f"{action} {subject}: done", err=True)
