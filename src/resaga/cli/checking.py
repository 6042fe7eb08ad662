"""``resaga check``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from resaga.cli.trouble import DEBUG_HELP, one_line_errors

__all__ = ["add_check_command"]


def add_check_command(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("check")(check)


def check(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:APP", help="What restate.app([...]) gave: shop.app:app."),
    ],
    *,
    admin: Annotated[
        str | None,
        typer.Option(
            "--admin",
            envvar="RESTATE_ADMIN_URL",
            metavar="URL",
            help="Also ask Restate's admin API there for settings that fight a rule. Behind a "
            "token: set RESTATE_AUTH_TOKEN.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    token: Annotated[str | None, typer.Option(envvar="RESTATE_AUTH_TOKEN", hidden=True)] = None,
    debug: Annotated[bool, typer.Option("--debug", help=DEBUG_HELP)] = False,
) -> None:
    """Find what is wrong with sagas before anything runs.

    Exits with 0 if nothing is, with 1 if there are findings, with 2 if it could not look.

    A comment silences a finding where it is defined: # resaga: ignore[RS101] why.
    """
    # Here, and not above: no other command needs it, and `list` has to start quickly.
    from resaga.cli.check.run import run  # noqa: PLC0415
    from resaga.cli.check.show import as_json as to_json  # noqa: PLC0415
    from resaga.cli.check.show import print_examined  # noqa: PLC0415

    with one_line_errors(debug=debug):
        examined, server = run(target, admin=admin, token=token)
        if as_json:
            sys.stdout.write(to_json(target, examined, server) + "\n")
        else:
            print_examined(Console(), examined, server)
    if examined.findings:
        raise typer.Exit(1)
