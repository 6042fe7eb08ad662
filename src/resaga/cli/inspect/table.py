"""The list of sagas, on a terminal and in a pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from resaga.cli.inspect.model import Summary
from resaga.cli.inspect.states import STATES
from resaga.cli.inspect.words import STATE_STYLES, age, span

__all__ = ["print_list"]

STATE_WIDTH = max(map(len, STATES))
ID_WIDTH = 38
AGE_WIDTH = 5
GAP = "  "

WIDE = 130
"""Columns from which on an error stands on the line of its saga."""

TROUBLE = frozenset(("paused", "rolling back", "paused in rollback", "incomplete", "running"))
"""States in which an error is news even where it takes a line of its own."""


def print_list(console: Console, sagas: Sequence[Summary], *, now: datetime) -> None:
    """Print sagas in the order given, a line for each; then how many there are in each state.

    In a pipe nothing is cut off, and one saga is one line, for ``grep`` and ``awk``.
    """
    width = console.width if console.is_terminal else None
    name_width = max([len("WORKFLOW"), *(len(saga.workflow) for saga in sagas)])
    if width is not None:
        room = width - STATE_WIDTH - ID_WIDTH - AGE_WIDTH - 3 * len(GAP)
        name_width = max(min(name_width, room), 8)
    head = f"{'STATE':<{STATE_WIDTH}}{GAP}{'AGE':>{AGE_WIDTH}}{GAP}"
    head += f"{'WORKFLOW':<{name_width}}{GAP}{'ID':<{ID_WIDTH}}"
    if sagas:
        wide = width is None or width >= WIDE
        _print(console, Text((head + (f"{GAP}NOTE" if wide else "")).rstrip(), "bold"))
    if console.color_system is None:
        lines = (text.plain for text in _lines(sagas, name_width, width, now))
        console.file.writelines(f"{line}\n" for line in lines)
    else:
        for start in range(0, len(sagas), 200):
            chunk = sagas[start : start + 200]
            _print(console, Text("\n").join(_lines(chunk, name_width, width, now)))
    _print(console, _totals(sagas))


def _lines(
    sagas: Sequence[Summary], name_width: int, width: int | None, now: datetime
) -> Iterator[Text]:
    for saga in sagas:
        name = saga.workflow
        if len(name) > name_width:
            name = name[: name_width - 1] + "…"
        line = Text(no_wrap=True)
        line.append(f"{saga.state:<{STATE_WIDTH}}", STATE_STYLES[saga.state])
        line.append(f"{GAP}{age(now - saga.created):>{AGE_WIDTH}}{GAP}")
        line.append(f"{name:<{name_width}}{GAP}{saga.id:<{ID_WIDTH}}")
        note = _note(saga, now)
        if width is None or width >= WIDE:
            if note:
                room = None if width is None else width - len(line) - len(GAP)
                line.append(GAP + (note if room is None else _cut(note, room)), "dim")
            line.rstrip()
            yield line
            continue
        line.rstrip()
        yield line
        if note and saga.state in TROUBLE:
            yield Text(f"    {_cut(note, width - 4)}", "dim")


def _note(saga: Summary, now: datetime) -> str:
    said: list[str] = []
    if saga.attempts is not None and saga.attempts > 1:
        said.append(f"attempt {saga.attempts}")
    if saga.next_attempt is not None:
        said.append(f"next in {span(saga.next_attempt - now)}")
    if saga.error is not None:
        said.append(" ".join(saga.error.split()))
    return ", ".join(said)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _totals(sagas: Sequence[Summary]) -> Text:
    counts = Counter(saga.state for saga in sagas)
    text = Text(f"{len(sagas):,} saga{'' if len(sagas) == 1 else 's'}", "bold")
    separator = ": "
    for state in STATES:
        if counts[state]:
            text.append(separator, "")
            text.append(f"{counts[state]:,} {state}", STATE_STYLES[state])
            separator = ", "
    return text


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
