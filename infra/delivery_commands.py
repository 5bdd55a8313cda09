"""``viworks receivers``: look at the receivers file, and send a test alert to one of them."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import ReceiversUnusable, ReceiverUnknown, TestNotDelivered
from infra.settings import InfraSettings

if TYPE_CHECKING:
    from processors.delivery.receivers import Receiver

receivers_app = typer.Typer(help="Check and test who gets alerts.", no_args_is_help=True)

_File = Annotated[Path | None, typer.Argument(metavar="FILE", help="The receivers file (VIWORKS_RECEIVERS).")]


@receivers_app.command()
def check(file: _File = None) -> None:
    """Check the receivers file, secrets and certificates included, and list what it says."""
    for receiver in _receivers(file):
        severity, rules, statuses = receiver.filters
        shown = (receiver.kind, f"{severity} and above", ", ".join(rules) or "all rules", ", ".join(statuses))
        typer.echo(f"{receiver.name}: {', '.join(shown)}")


@receivers_app.command()
def test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the receivers file has it.")],
    file: Annotated[Path | None, typer.Option("--file", help="The receivers file (VIWORKS_RECEIVERS).")] = None,  # noqa: PT028
) -> None:
    """Send one test alert to a receiver, whatever its filters, and print its answer."""
    found = [receiver for receiver in _receivers(file) if receiver.name == name]
    if not found:
        raise ReceiverUnknown("There is no such receiver: `viworks receivers check` shows those that there are.")
    for line in asyncio.run(_send(found[0])):
        typer.echo(line)


def _receivers(file: Path | None) -> list[Receiver]:
    from processors.delivery.errors import ReceiversInvalid
    from processors.delivery.receivers_file import read_receivers

    path = file or InfraSettings.load().receivers
    if path is None:
        raise ReceiversUnusable("No receivers file is named: give it as an argument, or set VIWORKS_RECEIVERS.")
    try:
        return read_receivers(path)
    except ReceiversInvalid as error:
        raise ReceiversUnusable("The receivers file does not fit: mend what is listed.", error.faults) from None


async def _send(receiver: Receiver) -> list[str]:
    """What the receiver said. Raises TestNotDelivered."""
    from processors.clock import system_clock
    from processors.delivery.alert import FIRING, Alert
    from processors.delivery.errors import NotDelivered
    from processors.delivery.senders import sender_of

    now_ms = system_clock()
    summary = "A test of this receiver; nothing is wrong."
    alert = Alert(str(uuid.uuid4()), "delivery_test", "info", FIRING, "", now_ms, summary, {"test": True}, now_ms)
    sender = sender_of(receiver, system_clock)
    try:
        answer = await sender.send(alert)
    except NotDelivered as error:
        raise TestNotDelivered(f"{receiver.name} did not take the test alert: {error.reason}.") from None
    finally:
        await sender.close()
    return [f"{receiver.name} took the test alert {alert.delivery_id}: {answer.status}", *_printable(answer.excerpt)]


def _printable(excerpt: str) -> list[str]:
    """The beginning of the answer, without what would steer a terminal."""
    shown = "".join(character if character.isprintable() else " " for character in excerpt).strip()
    return [f"    {shown}"] if shown else []
