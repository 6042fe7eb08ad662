"""How the demo looks: on a terminal in colours, elsewhere the same as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from resaga.cli.demo.acts import Check
from resaga.cli.demo.events import Event
from resaga.cli.demo.shop import Snapshot, money

__all__ = ["Screen"]

NARROWEST, WIDEST = 60, 100
"""Columns that lines take at least and at most: longer ones are hard to read."""

WHO = 15
"""Columns for who it is that something happened to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Glyphs:
    begin: str
    done: str
    fail: str
    undo: str
    kill: str
    rule: str
    arrow: str


_UNICODE = _Glyphs(begin="▶", done="✔", fail="✘", undo="◀", kill="☠", rule="─", arrow="→")
_ASCII = _Glyphs(begin=">", done="+", fail="x", undo="<", kill="!", rule="-", arrow="->")


class Screen:
    """Prints what happens in the demo.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = max(NARROWEST, min(console.width, WIDEST))
        self._glyphs = _UNICODE if console.encoding.startswith("utf") else _ASCII

    def title(self, name: str, steps: Iterable[str]) -> None:
        """Say what is going to be seen."""
        arrow = f" {self._glyphs.arrow} "
        self._print(Text.assemble(("resaga demo", "bold"), f": saga {name}, on a real Restate"))
        self._print(Text.assemble(("  " + arrow.join(steps), "cyan")))
        self._print()

    @contextmanager
    def busy(self, what: str) -> Generator[Callable[[str], None]]:
        """Show that something is under way; what is yielded tells how far it is.

        On a terminal it is one line that moves, elsewhere a line for each thing told.
        """
        if not self._console.is_terminal:
            yield lambda message: self.fact("server", message)
            return
        with self._console.status(what) as status:
            yield status.update

    def fact(self, name: str, value: str) -> None:
        """One thing to know, on a line that is never broken."""
        self._print(Text.assemble("  ", (f"{name:<10}", "dim"), value))

    def act(self, number: int, of: int, title: str, story: str) -> None:
        """Begin an act."""
        self._print()
        head = f"{self._glyphs.rule * 2} Act {number} of {of}: {title} "
        rule = self._glyphs.rule * (self._width - len(head))
        self._print(Text.assemble((head, "bold"), (rule, "dim")))
        self._print(Text(textwrap.indent(textwrap.fill(story, self._width - 4), "  ")))
        self._print()

    def happened(self, at: float, event: Event, *, again: bool) -> None:
        """One event of a saga, ``at`` seconds after its act began."""
        glyphs = self._glyphs
        error = event.text + (" (Restate tries again)" if event.retried else "")
        repeat = "again, with the same idempotency key" if again else ""
        match event.kind:
            case "saga_started":
                self._line(at, glyphs.begin, "saga", f"begins  {event.saga_id}", "bold")
            case "saga_completed":
                self._line(at, glyphs.done, "saga", "completed", "bold green")
            case "saga_failed":
                self._line(at, glyphs.fail, "saga", f"rolled back: {error}", "bold red")
            case "step_started":
                self._line(at, glyphs.begin, event.step, repeat or "begins", "cyan")
            case "step_completed":
                self._line(at, glyphs.done, event.step, "done", "green")
            case "step_failed":
                self._line(at, glyphs.fail, event.step, error, "red")
            case "compensation_started":
                text = f"undo begins {repeat}".rstrip()
                self._line(at, glyphs.undo, event.step, text, "yellow")
            case "compensation_completed":
                self._line(at, glyphs.done, event.step, "undone", "yellow")
            case "compensation_failed":
                self._line(at, glyphs.fail, event.step, f"undo failed: {error}", "red")
            case "log":
                who, _, text = event.text.partition(": ")
                self._line(at, "", f"  {who}", text, "")
            case "trapped":
                pass

    def ordered(self, at: float, what: str) -> None:
        """The customer orders something."""
        self._line(at, "", "customer", what, "")

    def answered(self, at: float, status: int, text: str) -> None:
        """The customer has an answer."""
        self._line(at, "", "customer", f"gets {status}: {text}", "")

    def killed(self, at: float, pid: int, why: str) -> None:
        """A worker is killed."""
        self._line(at, self._glyphs.kill, f"worker {pid}", why, "bold red")

    def replaced(self, at: float, pid: int) -> None:
        """Another worker takes over."""
        self._line(at, self._glyphs.begin, f"worker {pid}", "takes over", "bold green")

    def database(self, before: Snapshot, after: Snapshot) -> None:
        """What the database held, and what it holds."""
        heads = ("", "stock", "payments", "shipments", "this order's payments")
        rows = [("before", *_cells(before)), ("after", *_cells(after))]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        self._print()
        for row in (heads, *rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            style = "dim" if row is heads else ""
            rest = ("   ".join(cells[1:]).rstrip(), style)
            self._print(Text.assemble("  ", (cells[0], "dim"), "   ", rest))

    def checks(self, checks: Iterable[Check]) -> None:
        """What had to hold, and whether it did."""
        self._print()
        for check in checks:
            glyph, style = (
                (self._glyphs.done, "green") if check.held else (self._glyphs.fail, "red")
            )
            text = check.text if check.held else f"NOT SO: {check.text}"
            self._print(Text.assemble("  ", (f"{glyph} {text}", style)))

    def end(self, held: int, of: int, seconds: float) -> None:
        """How it went in all."""
        self._print()
        style = "bold green" if held == of else "bold red"
        acts = f"{held} of {of} acts went as they should"
        self._print(Text.assemble((acts, style), f", in {seconds:.1f} s."))

    def keep(self, ui: str, curl: str) -> None:
        """What can be done while server and worker stay."""
        self._print()
        self._print(Text("Server and worker stay until Ctrl-C. Restate's own UI:", "bold"))
        self._print(f"  {ui}")
        self._print(Text("Order something; an order to Atlantis is rolled back:", "bold"))
        self._print(f"  {curl}")

    def gap(self) -> None:
        """Set apart what comes next."""
        self._print()

    def _line(self, at: float, glyph: str, who: str, what: str, style: str) -> None:
        time = f"{at:6.2f} s "
        room = self._width - len(time) - 2 - WHO - 1
        first, *others = textwrap.wrap(what, room, break_on_hyphens=False) or [""]
        self._print(Text.assemble((time, "dim"), (f"{glyph:<2}{who:<{WHO}} ", style), first))
        for other in others:
            self._print(Text(" " * (self._width - room) + other))

    def _print(self, what: Text | str = "") -> None:
        # Broken into lines already, and URLs and commands stay whole for copying.
        self._console.print(what, soft_wrap=True, highlight=False, markup=False)


def _cells(snapshot: Snapshot) -> tuple[str, str, str, str]:
    rows = ", ".join(f"{'+' if amount > 0 else ''}{money(amount)}" for amount in snapshot.payments)
    return (
        f"{snapshot.free} free",
        f"{money(snapshot.taken)} in all",
        f"{snapshot.parcels} in all",
        rows or "none",
    )
