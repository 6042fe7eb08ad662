"""``resaga dev``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from resaga.cli.trouble import DEBUG_HELP, one_line_errors

__all__ = ["add_dev_command"]


def add_dev_command(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("dev")(dev)


def dev(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:APP", help="What restate.app([...]) gave: shop.app:app."),
    ],
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the worker.")] = 9080,
    ingress_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of Restate's ingress.")
    ] = 8080,
    admin_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of Restate's admin API and UI.")
    ] = 9070,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the server's state there between runs."),
    ] = None,
    watch: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Watch this instead of the current folder; repeatable."),
    ] = None,
    server_log: Annotated[
        str, typer.Option(metavar="LEVEL", help="What to show of Restate's log: warn, info, ….")
    ] = "warn",
    debug: Annotated[bool, typer.Option("--debug", help=DEBUG_HELP)] = False,
) -> None:
    """Develop: a Restate server and a worker that starts anew with each change of a file."""
    # Here, and not above: the other commands watch no files.
    from resaga.cli.dev.run import DevSettings, develop  # noqa: PLC0415

    with one_line_errors(debug=debug):
        develop(
            DevSettings(
                target=target,
                ingress_port=ingress_port,
                admin_port=admin_port,
                port=port,
                data=data,
                watched=tuple(watch or [Path.cwd()]),
                server_log=server_log,
            ),
            Console(),
        )
