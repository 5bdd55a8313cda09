"""``viworks unseal`` and ``viworks soc-key`` in the help; ``cli`` runs them before anything of the server is imported."""

from __future__ import annotations

import typer

from viworks.soc import key_command, unseal_command

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def add_soc_commands(app: typer.Typer) -> None:
    """They read their arguments themselves."""

    @app.command(context_settings=_PASSED_ON, add_help_option=False)
    def unseal(context: typer.Context) -> None:
        """Open sealed values with the SOC's private key, on the analyst's machine."""
        raise typer.Exit(unseal_command.main(context.args))

    @app.command(name="soc-key", context_settings=_PASSED_ON, add_help_option=False)
    def soc_key(context: typer.Context) -> None:
        """Make the SOC's key, or show the fingerprint of one."""
        raise typer.Exit(key_command.main(context.args))
