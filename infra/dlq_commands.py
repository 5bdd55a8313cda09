"""``viworks dlq``: look at the records that nobody could use, and write them back once the cause is mended."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from infra.options import Data, Kafka, broker_of

dlq_app = typer.Typer(help="Look at dead letters and write them back.", no_args_is_help=True)

_Topic = Annotated[str | None, typer.Option(help="Only letters that came from this topic.")]
_Error = Annotated[str | None, typer.Option(help="Only letters of this class of error.")]


@dlq_app.command(name="list")
def list_letters(
    topic: _Topic = None,
    error: _Error = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    data: Data = None,
    kafka: Kafka = None,
) -> None:
    """List dead letters, the newest last, and how far their replays are."""
    from infra.dead_letter_list import Choice, as_table, newest

    for line in as_table(asyncio.run(newest(broker_of(data, kafka), Choice(topic, error), limit))):
        typer.echo(line)


@dlq_app.command()
def show(
    letter: Annotated[int, typer.Argument(min=0, metavar="LETTER", help="Its number, as `list` has it.")],
    hexadecimal: Annotated[bool, typer.Option("--hex", help="The first 64 bytes of its value too.")] = False,
    data: Data = None,
    kafka: Kafka = None,
) -> None:
    """Show a dead letter: its headers and sizes, not its content."""
    from infra.dead_letter_list import as_lines, beginning, named

    bootstrap = broker_of(data, kafka)
    chosen = asyncio.run(named(bootstrap, [letter]))
    for line in as_lines(chosen.letters[0], chosen.stages.get(letter)):
        typer.echo(line)
    if hexadecimal:
        typer.echo(f"{'value begins':<20}{asyncio.run(beginning(bootstrap, letter)).hex(' ')}")


@dlq_app.command()
def replay(  # noqa: PLR0913 - one parameter an option
    letters: Annotated[list[int] | None, typer.Argument(min=0, metavar="LETTER...", help="As `list` has them.")] = None,
    topic: _Topic = None,
    error: _Error = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The oldest so many that match.")] = 1_000,
    again: Annotated[bool, typer.Option("--again", help="Also those whose replay was begun and not finished.")] = False,
    actor: Annotated[str | None, typer.Option("--actor", help="Who does so; default: your user name.")] = None,
    data: Data = None,
    kafka: Kafka = None,
) -> None:
    """Write dead letters back to their topics, each once: those that are named, or all that match."""
    from infra.administration import user_name
    from infra.dead_letter_list import Choice, named, oldest
    from infra.dead_letter_replay import Order
    from infra.dead_letter_replay import replay as write_back

    choice = Choice(topic, error)
    if bool(letters) == (choice != Choice(None, None)):
        raise typer.BadParameter("name letters, or say --topic or --error")
    bootstrap = broker_of(data, kafka)
    chosen = asyncio.run(named(bootstrap, letters) if letters else oldest(bootstrap, choice, limit))
    outcomes = asyncio.run(write_back(bootstrap, chosen, Order(actor or user_name(), again)))
    for outcome in outcomes:
        typer.echo(f"{outcome.letter}: {'written to' if outcome.replayed else 'left:'} {outcome.said}")
    left = sum(not outcome.replayed for outcome in outcomes)
    typer.echo(f"{len(outcomes) - left} written back, {left} left", err=True)
    raise typer.Exit(1 if left else 0)
