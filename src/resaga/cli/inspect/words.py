"""Times, durations and errors as words; the marks and colours of outcomes and states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from resaga.cli.inspect.model import Entry, Failed, Outcome, SagaView
from resaga.cli.inspect.states import State

__all__ = [
    "ASCII",
    "Glyphs",
    "OUTCOME_STYLES",
    "STATE_STYLES",
    "UNICODE",
    "age",
    "clock",
    "error_line",
    "note_of",
    "span",
]

STATE_STYLES: Final[dict[State, str]] = {
    "running": "cyan",
    "waiting": "blue",
    "paused": "bold yellow",
    "rolling back": "yellow",
    "paused in rollback": "bold red",
    "completed": "green",
    "rolled back": "magenta",
    "incomplete": "bold red",
}

OUTCOME_STYLES: Final[dict[Outcome, str]] = {
    "completed": "green",
    "failed": "red",
    "unknown": "bold yellow",
    "in flight": "cyan",
    "waiting": "blue",
    "begun": "cyan",
    "dropped": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """Marks of outcomes, and what lines are drawn with."""

    outcomes: dict[Outcome, str]
    undo: str
    added: str
    nest: str
    vertical: str
    horizontal: str
    tee: str
    opens: str
    opens_last: str
    closes: str
    closes_last: str
    cross: str


UNICODE: Final = Glyphs(
    outcomes={
        "completed": "✔",
        "failed": "✘",
        "unknown": "?",
        "in flight": "▶",
        "waiting": "…",
        "begun": "▷",
        "dropped": "∅",
    },
    undo="↩",
    added="+",
    nest="▾",
    vertical="│",
    horizontal="─",
    tee="├",
    opens="┬",
    opens_last="╮",
    closes="┴",
    closes_last="╯",
    cross="┼",
)

ASCII: Final = Glyphs(
    outcomes={
        "completed": "+",
        "failed": "x",
        "unknown": "?",
        "in flight": ">",
        "waiting": "~",
        "begun": ">",
        "dropped": "0",
    },
    undo="<",
    added="+",
    nest="v",
    vertical="|",
    horizontal="-",
    tee="+",
    opens="+",
    opens_last="+",
    closes="+",
    closes_last="+",
    cross="+",
)


def span(value: timedelta) -> str:
    """A duration, at the precision that a reader needs: ``12 ms``, ``3.4 s``, ``2 h 5 min``."""
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def age(value: timedelta) -> str:
    """How old something is, in at most four characters: ``5s``, ``12m``, ``3h``, ``14d``."""
    seconds = int(max(value.total_seconds(), 0))
    for unit, size, most in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86_400}d"


def clock(at: datetime, *, now: datetime) -> str:
    """A time as a person here reads it; with its date, unless that is today's."""
    local = at.astimezone()
    form = "%H:%M:%S" if local.date() == now.astimezone().date() else "%Y-%m-%d %H:%M:%S"
    return local.strftime(form)


def error_line(failed: Failed) -> str:
    """An error on one line, with its code where it has one."""
    message = " ".join(failed.message.split())
    return message if failed.code is None else f"[{failed.code}] {message}"


def note_of(entry: Entry, saga: SagaView) -> str:
    """What is to be said of an entry beside its name."""
    said: list[str] = []
    undo, now = entry.undone_by, saga.now
    match entry.outcome:
        case "in flight" if entry.started is not None:
            said.append(_in_flight(now - entry.started, saga))
        case "waiting" if entry.until is not None:
            said.append(f"until {clock(entry.until, now=now)}, in {span(entry.until - now)}")
        case "waiting" if entry.started is not None:
            said.append(f"waiting for {span(now - entry.started)}")
        case "dropped":
            said.append("no result when the saga ended")
        case "failed":
            said.append("failed for good" if entry.kind == "undo" else "failed")
        case "unknown":
            said.append("gave up: its effect may have happened")
        case _:
            pass
    if entry.failure is not None:
        said.append(error_line(entry.failure))
    if undo is not None:
        said.append(
            {"completed": "undone", "failed": "NOT UNDONE"}.get(undo.outcome, "being undone")
        )
    if entry.kind == "step" and entry.path is None:
        said.append("in some branch")
    if entry.durable:
        said.append("durable, what it does follows" if entry.outcome == "begun" else "durable")
    if entry.kind == "added":
        said.append("compensation")
    if entry.kind == "step" and entry.undoable is False and entry.outcome == "completed":
        said.append("no compensation")
    if entry.child is None and entry.child_id is not None:
        said.append(entry.child_id)
    return ", ".join(said)


def _in_flight(since: timedelta, saga: SagaView) -> str:
    summary = saga.summary
    tried = "" if (summary.attempts or 0) < 2 else f", attempt {summary.attempts}"
    match saga.status:
        case "paused":
            return f"not done; begun {span(since)} ago, now paused"
        case "backing-off" if summary.next_attempt is not None:
            return f"not done{tried}, tried again in {span(summary.next_attempt - saga.now)}"
        case _:
            return f"in flight for {span(since)}{tried}"
