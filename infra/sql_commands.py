"""``viworks sql``: a shell on the SQL port, one statement on the command line, and the port's tokens."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import NotRunning, SqlRefused
from infra.options import Data
from infra.settings import InfraSettings

if TYPE_CHECKING:
    from infra.sql_client import SqlClient

sql_app = typer.Typer(help="Ask the warehouse: a shell, or one statement by -c.", invoke_without_command=True)
tokens_app = typer.Typer(help="Who may ask by the SQL port.", no_args_is_help=True)
sql_app.add_typer(tokens_app, name="tokens")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose token; stands in the audit of each query.")]


@sql_app.callback()
def sql(
    context: typer.Context,
    command: Annotated[str | None, typer.Option("--command", "-c", help="Run this statement and end.")] = None,
    output_format: Annotated[
        str | None, typer.Option("--format", "-f", help="One of ClickHouse's; default PrettyCompact, or TSV into a pipe.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="analyst|auditor|admin", help="Ask as a role, with a token of this machine's own.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="A file that holds the token to use.")] = None,
    data: Data = None,
) -> None:
    """Ask the warehouse: a shell, or one statement by -c."""
    if context.invoked_subcommand is not None:
        return
    from infra.sql_client import SqlClient

    data_dir = InfraSettings.load(data_dir=data).data_dir
    client = SqlClient(*_where(data_dir, role, token_file))
    shown = output_format or ("PrettyCompact" if command is None or sys.stdout.isatty() else "TabSeparated")
    try:
        if command is not None:
            _once(client, command, shown)
        else:
            _talk(client, data_dir, shown)
    finally:
        client.close()


def _once(client: SqlClient, command: str, output_format: str) -> None:
    from infra.sql_shell import harmless

    pieces = client.run(command, output_format)
    if sys.stdout.isatty():
        for text in harmless(pieces):
            sys.stdout.write(text)
    else:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def _talk(client: SqlClient, data_dir: Path, output_format: str) -> None:
    from infra.sql_shell import Shell, line_editing

    def names() -> list[str]:
        return client.rows("SELECT name FROM system.tables WHERE database = 'viworks'")

    with line_editing(data_dir / "sql-history", names) as read:
        Shell(client, read, sys.stdout, output_format).run()


def _where(data_dir: Path, role: str | None, token_file: Path | None) -> tuple[str, str]:
    """The port's address, and the token to ask with."""
    from infra import run_file
    from infra.sql_tokens import local_token

    content = run_file.read(data_dir)
    if content is None:
        raise NotRunning(f"Nothing is running in {data_dir}: start it by `viworks up`.")
    if role is not None:
        return content["sql"], local_token(data_dir, role)
    path = token_file or Path(content["sql_token_file"])
    try:
        return content["sql"], path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SqlRefused(
            f"The token file {path} cannot be read ({type(error).__name__}): name another by --token-file."
        ) from None


@tokens_app.command(name="create")
def create_token(
    name: _Name,
    role: Annotated[str, typer.Option(metavar="analyst|auditor|admin", help="What it may read.")],
    data: Data = None,
) -> None:
    """Make a token and print it: one line. It is shown only now."""
    from infra.sql_tokens import create

    typer.echo(create(InfraSettings.load(data_dir=data).data_dir, name, role))


@tokens_app.command(name="list")
def list_tokens(data: Data = None) -> None:
    """List the tokens by name and role. The first one, of the file sql-token, is an analyst's."""
    from infra.sql_tokens import tokens

    for token in tokens(InfraSettings.load(data_dir=data).data_dir):
        made = datetime.datetime.fromtimestamp(token.created_at / 1000, datetime.UTC)
        typer.echo(f"{token.name:<32}{token.role:<12}{made:%Y-%m-%d %H:%M} UTC")


@tokens_app.command(name="revoke")
def revoke_token(name: _Name, data: Data = None) -> None:
    """End a token at once."""
    from infra.sql_tokens import revoke

    revoke(InfraSettings.load(data_dir=data).data_dir, name)
