"""The commands of ``resaga``, as Typer sees them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from resaga import __version__
from resaga.cli.checking import add_check_command
from resaga.cli.developing import add_dev_command
from resaga.cli.sagas import add_saga_commands
from resaga.cli.serving import add_serve_command
from resaga.errors import ResagaError
from resaga.server import RestateServerNotFound

__all__ = ["app"]

app: typer.Typer = typer.Typer(
    name="resaga",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Sagas for Restate services in Python.",
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # Typer gives it by position
    if wanted:
        typer.echo(f"resaga {__version__}")
        raise typer.Exit


@app.callback()
def resaga(
    *,
    version: Annotated[  # its callback does the work
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version, and exit."
        ),
    ] = False,
) -> None:
    """Sagas for Restate services in Python."""


add_saga_commands(app)
add_serve_command(app)
add_dev_command(app)
add_check_command(app)


@app.command()
def demo(
    *,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave server and worker running afterwards, until Ctrl-C."),
    ] = False,
    ingress_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of Restate's ingress; by default a free one."),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of its admin API and UI; by default a free one."),
    ] = None,
) -> None:
    """Play four sagas on a real Restate server: two in peace, two with a worker killed.

    Exits with 0 if the database was right after each, else with 1.
    """
    # Here, and not above: what the demo needs takes longer to load than `list` takes in all.
    from resaga.cli.demo.run import Interrupted, run  # noqa: PLC0415

    console = Console()
    errors = Console(stderr=True)
    try:
        held = asyncio.run(
            run(console, keep=keep, ingress_port=ingress_port, admin_port=admin_port)
        )
    except ResagaError as error:
        message = f"resaga: error: {_message(error)}"
        errors.print(message, soft_wrap=True, highlight=False, markup=False)
        raise typer.Exit(1) from None
    except Interrupted as interrupted:
        errors.print("resaga: interrupted; server and worker are stopped.", highlight=False)
        raise typer.Exit(128 + interrupted.signal) from None
    raise typer.Exit(0 if held else 1)


def _message(error: ResagaError) -> str:
    """What an error says; in one line if the only server tried is the one that was asked for."""
    if isinstance(error, RestateServerNotFound) and len(error.tried) == 1:
        return (
            f"there is no restate-server to run. Tried: {error.tried[0]}. Set the variable to the "
            "path of a binary that runs, or unset it and have one found."
        )
    return str(error)
