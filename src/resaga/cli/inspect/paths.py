"""Which call of a step an entry is, where the journal itself does not say."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key
from itertools import pairwise

from resaga.cli.inspect.model import Entry, Nest

__all__ = ["infer_nests", "is_later", "is_passed_over", "match_undo", "name_paths"]


def name_paths(entries: Iterable[Entry]) -> None:
    """Give a path to the steps of the body that have none in the journal.

    A step's path comes with its result, so one in flight, and one whose retries are exhausted,
    have none. Where no branches are under way it can only be the next one of the body.
    """
    steps = [entry for entry in entries if entry.kind in ("step", "added")]
    forks = {_numbers(step)[0] for step in steps if step.path is not None and "." in step.path}
    # The body has one step in flight at most.
    side_by_side = sum(step.outcome == "in flight" for step in steps) > 1
    last = 0
    for step in steps:
        if step.path is not None:
            last = max(last, _numbers(step)[0])
        elif last + 1 not in forks and last not in forks - _closed(forks, steps, step):
            if side_by_side and step.outcome == "in flight":
                continue
            last += 1
            step.path = str(last)


def _closed(forks: set[int], steps: Iterable[Entry], step: Entry) -> set[int]:
    """The forks that were over when a step began: a later call of the body came before it."""
    before = [_numbers(other)[0] for other in steps if other.path and other.index < step.index]
    return {fork for fork in forks if any(number > fork for number in before)}


def match_undo(undo: Entry, steps: Iterable[Entry]) -> Entry | None:
    """The step that a compensation undoes: of those with its name, the one whose turn it is."""
    candidates = [
        step
        for step in steps
        if step.name == undo.name
        and step.undone_by is None
        and step.undoable is not False
        and step.index < undo.index
    ]
    return min(candidates, key=cmp_to_key(_compare), default=None)


def is_passed_over(step: Entry, undos: Iterable[Entry], steps: Iterable[Entry]) -> bool:
    """Whether a rollback has gone past a step without undoing it: it has nothing to undo.

    That is so once a compensation of an older step of its line, or of one around it, has begun.
    """
    undone = {id(other.undone_by): other for other in steps if other.undone_by is not None}
    for undo in undos:
        older = undone.get(id(undo))
        if older is None or step.index > undo.index or older is step:
            continue
        if is_later(step, older):
            return True
    return False


def is_later(one: Entry, other: Entry) -> bool:
    """Whether one step was begun after another had ended: both on a line, or on lines around it."""
    for depth, (a, b) in enumerate(zip(_numbers(one), _numbers(other), strict=False)):
        if a != b:
            # Numbers of calls and numbers of branches take turns in a path.
            return depth % 2 == 0 and a > b
    return False


def infer_nests(entries: Iterable[Entry]) -> None:
    """Let what happened between two steps of a workflow that ran inside be a part of it, too.

    A step's entry tells what it ran inside; a sleep's or a call's does not. While something runs
    inside the body, nothing runs outside of it; beside what runs inside a branch, other branches
    do.
    """
    body = [entry for entry in entries if entry.kind not in ("undo", "added")]
    told = [number for number, entry in enumerate(body) if _tells(entry)]
    for first, last in pairwise(told):
        common: list[Nest] = []
        for a, b in zip(body[first].within, body[last].within, strict=False):
            if a != b or a.line:
                break
            common.append(a)
        for entry in body[first + 1 : last]:
            entry.within = tuple(common)


def _tells(entry: Entry) -> bool:
    return entry.kind == "step" and entry.undoable is not None


def _numbers(entry: Entry) -> list[int]:
    return [int(number) for number in (entry.path or "0").split(".")]


def _compare(one: Entry, other: Entry) -> int:
    """Which of two steps is undone first: the newer of one line, the earlier branch of two."""
    mine, theirs = _numbers(one), _numbers(other)
    for depth, (a, b) in enumerate(zip(mine, theirs, strict=False)):
        if a != b:
            # Numbers of calls and numbers of branches take turns in a path.
            return b - a if depth % 2 == 0 else a - b
    return other.index - one.index
