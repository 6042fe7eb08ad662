"""One saga as a timeline, for a terminal or a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import msgspec
from rich.text import Text

from resaga.cli.inspect.advice import advice_of, if_cancelled, stack_of
from resaga.cli.inspect.lanes import Row, lay_out
from resaga.cli.inspect.model import Entry, Nest, SagaView
from resaga.cli.inspect.words import (
    OUTCOME_STYLES,
    STATE_STYLES,
    Glyphs,
    clock,
    error_line,
    note_of,
    span,
)

__all__ = ["timeline"]

INDENT = "  "
"""For each workflow or module that something runs inside."""

TIME = 12
"""Columns for when something began, and for how long it took."""

LEAST = 24
"""Columns that a text has at least, however deep it stands."""

KIND_WORDS = {
    "step": "",
    "undo": "undo ",
    "added": "",
    "action": "run ",
    "sleep": "sleep ",
    "call": "call ",
    "send": "send ",
    "attach": "attach ",
    "other": "",
}


def timeline(saga: SagaView, *, width: int, glyphs: Glyphs, hints: bool = True) -> Iterator[Text]:
    """The lines of a timeline: head, entries, and what can be done.

    Args:
        saga: What to show.
        width: Columns that lines are broken at; ids and commands are never broken.
        glyphs: What it is drawn with.
        hints: Whether to end with what can be done about it.
    """
    for line in _Page(saga, width, glyphs).lines(hints=hints):
        line.rstrip()
        yield line


class _Page:
    def __init__(self, saga: SagaView, width: int, glyphs: Glyphs) -> None:
        self._saga = saga
        self._width = max(width, 40)
        self._glyphs = glyphs

    def lines(self, *, hints: bool) -> Iterator[Text]:
        yield from self._head(top=hints)
        yield from self._payloads(self._saga.payloads, "  ")
        yield Text()
        yield from self._body()
        if hints:
            yield from self._foot()

    def _head(self, *, top: bool) -> Iterator[Text]:
        saga, summary = self._saga, self._saga.summary
        state = (summary.state, STATE_STYLES[summary.state])
        yield Text.assemble((summary.workflow, "bold"), "  ", state)
        yield Text(f"  {summary.id}")
        created = f"  begun {clock(summary.created, now=saga.now)}"
        if summary.ended is not None:
            took = span(summary.ended - summary.created)
            created += f", ended after {took}"
        else:
            created += f", {span(saga.now - summary.created)} ago; to Restate it is {saga.status}"
        yield from self._wrap("  ", created.strip(), "dim")
        if saga.cancelled_at is not None:
            yield Text(f"  cancelled {clock(saga.cancelled_at, now=saga.now)}", "dim")
        if saga.deadline is not None:
            yield Text(f"  deadline {clock(saga.deadline, now=saga.now)}", "dim")
        if saga.parent_id is not None and top:  # Else it stands around this.
            yield Text(f"  called by {saga.parent_id}", "dim")
        if saga.restarted_from is not None:
            yield Text(f"  restarted as new from {saga.restarted_from}", "dim")
        if not saga.is_saga:
            yield from self._wrap(
                "  ", "its handler is no saga of resaga's, as far as the server knows", "yellow"
            )

    def _body(self) -> Iterator[Text]:
        saga = self._saga
        if not saga.has_journal:
            yield from self._wrap("  ", "The server no longer has its journal.", "yellow")
            return
        if not saga.entries:
            yield from self._wrap("  ", "Nothing has begun yet.", "dim")
            return
        rows = lay_out(saga.entries)
        columns = max(len(row.open) for row in rows)
        drawn = columns > 1 and 2 * columns <= self._width // 3
        begun: set[Nest] = set()
        for row in rows:
            graph = self._graph(row, columns) if drawn else Text()
            if row.entry is None:
                if drawn:
                    yield Text.assemble(" " * (2 * TIME), graph)
                continue
            for depth, nest in enumerate(row.entry.within):
                if nest not in begun:
                    begun.add(nest)
                    yield self._nest(nest, depth, row, columns if drawn else 0)
            yield from self._entry(row.entry, graph, drawn=drawn)

    def _nest(self, nest: Nest, depth: int, row: Row, columns: int) -> Text:
        """The line over what runs inside."""
        mark = Text(self._glyphs.nest, "dim")
        graph = self._graph(row, columns, mark) if columns else Text.assemble(mark, " ")
        return Text.assemble(" " * (2 * TIME), graph, INDENT * depth, (nest.name, "bold"))

    def _entry(self, entry: Entry, graph: Text, *, drawn: bool) -> Iterator[Text]:
        saga = self._saga
        began = "" if entry.started is None else f"+{span(entry.started - saga.summary.created)}"
        took = "" if entry.duration is None else span(entry.duration)
        line = Text()
        line.append(f"{began:>{TIME - 2}}  {took:>{TIME - 2}}  ", "dim")
        if drawn:
            line.append_text(graph)
        else:
            line.append_text(self._mark(entry))
            line.append(" ")
        where = "" if drawn or not entry.line else f"[{'.'.join(map(str, entry.line))}] "
        depth = len(entry.within)
        name = f"{INDENT * depth}{where}{KIND_WORDS[entry.kind]}{entry.name}"
        style = "yellow" if entry.kind == "undo" else ("" if entry.kind == "step" else "dim")
        indent = " " * (len(line) + 2) + INDENT * depth
        line.append(name, style)
        note = note_of(entry, saga)
        yield from self._with_note(line, note, indent)
        for error in entry.errors:
            yield from self._wrap(indent, f"an attempt failed: {error_line(error)}", "red")
        yield from self._payloads(entry.payloads, indent)
        if entry.child is not None:
            yield from self._child(entry.child, indent)

    def _child(self, child: SagaView, indent: str) -> Iterator[Text]:
        bar = f"{indent}{self._glyphs.vertical} "
        if len(indent) > self._width // 2:
            bar = f"{' ' * (self._width // 4)}{self._glyphs.vertical} "
        page = _Page(child, self._width - len(bar), self._glyphs)
        for line in page.lines(hints=False):
            yield Text.assemble((bar, "dim"), line)

    def _with_note(self, line: Text, note: str, indent: str) -> Iterator[Text]:
        if not note:
            yield line
        elif len(line) + 2 + len(note) <= self._width:
            line.append(f"  {note}", "dim")
            yield line
        else:
            yield line
            yield from self._wrap(indent, note, "dim")

    def _mark(self, entry: Entry) -> Text:
        style = OUTCOME_STYLES[entry.outcome]
        if entry.kind == "added":
            return Text(self._glyphs.added, "dim")
        if entry.kind == "undo" and entry.outcome == "completed":
            return Text(self._glyphs.undo, "yellow")
        return Text(self._glyphs.outcomes[entry.outcome], style)

    def _graph(self, row: Row, columns: int, mark: Text | None = None) -> Text:
        """The lanes of a row, each with a space or a line to the next.

        Args:
            row: The row.
            columns: How many lanes are drawn.
            mark: What stands for the row's entry, if not the mark of its outcome.
        """
        glyphs = self._glyphs
        text = Text()
        last = max((row.column, *row.branches))
        for column in range(columns):
            line = row.open[column] if column < len(row.open) else None
            if row.entry is not None and column == row.column:
                text.append_text(mark or self._mark(row.entry))
            elif column in row.branches:
                if column == last:
                    end = glyphs.opens_last if row.begins else glyphs.closes_last
                else:
                    end = glyphs.opens if row.begins else glyphs.closes
                text.append(end, "dim")
            elif row.branches and column == row.column:
                text.append(glyphs.tee, "dim")
            elif line is not None:
                crossed = row.branches and row.column < column < last
                text.append(glyphs.cross if crossed else glyphs.vertical, "dim")
            else:
                crossed = row.branches and row.column < column < last
                text.append(glyphs.horizontal if crossed else " ", "dim")
            across = bool(row.branches) and row.column <= column < last
            text.append(glyphs.horizontal if across else " ", "dim")
        return text

    def _payloads(self, payloads: dict[str, object], indent: str) -> Iterator[Text]:
        for name, value in payloads.items():
            shown = msgspec.json.encode(value).decode()
            yield from self._wrap(indent, f"{name}: {shown}", "")

    def _foot(self) -> Iterator[Text]:
        left = list(self._left())
        if left:
            yield Text()
            yield from left
        for advice in advice_of(self._saga):
            yield Text()
            yield Text(advice.command, "bold red" if advice.harmful else "bold")
            yield from self._wrap("    ", advice.effect, "red" if advice.harmful else "dim")

    def _left(self) -> Iterator[Text]:
        """What went wrong, and what is left to undo."""
        saga = self._saga
        error = saga.last_error
        if error is not None:
            label = "failed with" if saga.failure is not None else "last error"
            yield from self._wrap("", f"{label}: {error_line(error)}", "red")
        not_undone = [undo.name for undo in saga.not_undone]
        if not_undone:
            yield from self._wrap(
                "", f"NOT UNDONE, see to it by hand: {', '.join(not_undone)}", "bold red"
            )
        if saga.killed:
            left = ", ".join(stack_of(saga)) or "nothing"
            yield from self._wrap("", f"killed, so NOT UNDONE: {left}", "bold red")
        if saga.summary.ended is None:
            yield from self._stack()
            yield from self._wrap("", f"if cancelled now: {if_cancelled(saga)}", "")

    def _stack(self) -> Iterator[Text]:
        stack = stack_of(self._saga)
        if not stack:
            yield Text("on the stack: nothing")
            return
        rolling = self._saga.summary.state in ("rolling back", "paused in rollback")
        label = "left to undo" if rolling else "on the stack, newest first"
        yield from self._wrap("", f"{label}: {', '.join(stack)}", "")

    def _wrap(self, indent: str, text: str, style: str) -> Iterator[Text]:
        indent = indent[: max(self._width - LEAST, 0)]
        lines = textwrap.wrap(
            text,
            self._width - len(indent) - 2,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(lines):
            yield Text(f"{indent}{'' if number == 0 else '  '}{line}", style)
