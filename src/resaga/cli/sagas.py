"""``resaga list`` and ``resaga show``."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from resaga.cli.inspect.admin import Admin
from resaga.cli.inspect.asjson import list_json, saga_json
from resaga.cli.inspect.html import html_page
from resaga.cli.inspect.mermaid import mermaid
from resaga.cli.inspect.model import SagaView
from resaga.cli.inspect.read import read_list, read_saga
from resaga.cli.inspect.states import STATES, State
from resaga.cli.inspect.table import print_list
from resaga.cli.inspect.timeline import timeline
from resaga.cli.inspect.words import ASCII, UNICODE, Glyphs
from resaga.cli.trouble import DEBUG_HELP, BadInput, one_line_errors

__all__ = ["add_saga_commands"]

WATCH_INTERVAL: Final = timedelta(seconds=0.5)

AGE: Final = re.compile(r"(\d+)\s*(s|m|h|d|w)")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

AdminOption = Annotated[
    str,
    typer.Option(
        "--admin",
        envvar="RESTATE_ADMIN_URL",
        metavar="URL",
        help="Where Restate's admin API is. Behind a token: set RESTATE_AUTH_TOKEN.",
    ),
]
TokenOption = Annotated[str | None, typer.Option(envvar="RESTATE_AUTH_TOKEN", hidden=True)]
DebugOption = Annotated[bool, typer.Option("--debug", help=DEBUG_HELP)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

LOCAL_ADMIN: Final = "http://127.0.0.1:9070"


def add_saga_commands(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("list")(list_sagas)
    app.command("show")(show)


def list_sagas(
    *,
    workflow: Annotated[
        list[str] | None,
        typer.Option("--workflow", "-w", metavar="NAME", help="Only this; may be repeated."),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            "-s",
            metavar="STATE",
            help=f"Only those {', '.join(STATES)}; may be repeated. 'stuck' is what needs an "
            "operator: paused, paused in rollback, incomplete.",
        ),
    ] = None,
    newer: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Only those begun within this time: 90s, 15m, 6h, 3d."),
    ] = None,
    older: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only those begun before this time.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most this many, the newest.")
    ] = None,
    as_json: JsonOption = False,
    admin: AdminOption = LOCAL_ADMIN,
    token: TokenOption = None,
    debug: DebugOption = False,
) -> None:
    """List sagas with the state they are in, newest first."""
    with one_line_errors(debug=debug):
        wanted = _states(state or [])
        with Admin(admin, token=token) as server:
            sagas = read_list(
                server,
                workflows=workflow or (),
                newer_than=_age("--newer", newer),
                older_than=_age("--older", older),
            )
        if wanted:
            sagas = [saga for saga in sagas if saga.state in wanted]
        sagas = sagas[:limit]
        if as_json:
            sys.stdout.write(list_json(sagas) + "\n")
        else:
            print_list(Console(), sagas, now=datetime.now(UTC))


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The saga's invocation id, inv_….")],
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it until it ends, or Ctrl-C.")
    ] = False,
    payloads: Annotated[
        bool,
        typer.Option("--payloads", help="Also what steps and sagas took and gave. Mind secrets."),
    ] = False,
    depth: Annotated[int, typer.Option(min=0, help="How many levels of called sagas to show.")] = 3,
    as_json: JsonOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one self-contained page instead."),
    ] = None,
    as_mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")
    ] = False,
    admin: AdminOption = LOCAL_ADMIN,
    token: TokenOption = None,
    debug: DebugOption = False,
) -> None:
    """Show one saga: what it did, what is undone, what is left, and what can be done about it."""
    with one_line_errors(debug=debug):
        chosen = [as_json, as_mermaid, html is not None, watch]
        if sum(chosen) > 1:
            raise BadInput("--watch, --json, --html and --mermaid exclude each other: give one.")
        with Admin(admin, token=token) as server:

            def read() -> SagaView:
                return read_saga(server, id, payloads=payloads, depth=depth)

            if watch:
                _watch(Console(), read)
            elif as_json:
                sys.stdout.write(saga_json(read()) + "\n")
            elif as_mermaid:
                sys.stdout.write(mermaid(read()) + "\n")
            elif html is not None:
                _write(html, html_page(read()))
            else:
                _print(Console(), read())


def _print(console: Console, saga: SagaView) -> None:
    for line in timeline(saga, width=_width(console), glyphs=_glyphs(console)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _watch(console: Console, read: Callable[[], SagaView]) -> None:
    """Show a saga again and again until it ends; in a pipe, whenever something has changed."""
    saga = read()
    if not console.is_terminal:
        told = ""
        while True:
            entries = [(e.index, e.outcome, len(e.errors)) for s in saga.walk() for e in s.entries]
            now = f"{saga.summary.state} {entries}"
            if now != told:
                _print(console, saga)
                told = now
            if saga.summary.ended is not None:
                return
            time.sleep(WATCH_INTERVAL.total_seconds())
            saga = read()
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while saga.summary.ended is None:
                live.update(_newest_lines(console, saga), refresh=True)
                time.sleep(WATCH_INTERVAL.total_seconds())
                saga = read()
            live.update(Text(), refresh=True)
    except KeyboardInterrupt:
        return
    _print(console, saga)


def _newest_lines(console: Console, saga: SagaView) -> Text:
    """What fits on the screen: the head, and then the end."""
    lines = list(timeline(saga, width=_width(console), glyphs=_glyphs(console)))
    room = console.height - 1
    if len(lines) > room:
        head = lines[:2]
        lines = [*head, Text("  …", "dim"), *lines[len(lines) - room + len(head) + 1 :]]
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}. Give another file with --html."
        ) from error
    typer.echo(f"wrote {path}")


def _width(console: Console) -> int:
    return console.width if console.is_terminal else 120


def _glyphs(console: Console) -> Glyphs:
    return UNICODE if console.encoding.startswith("utf") else ASCII


def _states(given: list[str]) -> set[State]:
    wanted: set[State] = set()
    for word in given:
        name = " ".join(word.replace("-", " ").replace("_", " ").split()).lower()
        if name == "stuck":
            wanted |= {"paused", "paused in rollback", "incomplete"}
            continue
        state: State | None = next((known for known in STATES if known == name), None)
        if state is None:
            raise BadInput(f"{word!r} is no state of a saga. There are: {', '.join(STATES)}.")
        wanted.add(state)
    return wanted


def _age(option: str, given: str | None) -> timedelta | None:
    if given is None:
        return None
    match = AGE.fullmatch(given.strip())
    if match is None:
        raise BadInput(f"{option} {given!r} is no age: give a number and a unit, 90s, 15m, 6h, 3d.")
    try:
        age = timedelta(**{UNITS[match[2]]: int(match[1])})
        _ = datetime.now(UTC) - age  # Not before the year 1.
    except OverflowError:
        raise BadInput(f"{option} {given} is longer ago than there is a calendar.") from None
    return age
