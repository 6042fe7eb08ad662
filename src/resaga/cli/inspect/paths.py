"""Which call of a step an entry is, where the journal itself does not say."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key

from resaga.cli.inspect.model import Entry

__all__ = ["is_passed_over", "match_undo", "name_paths"]


def name_paths(entries: Iterable[Entry]) -> None:
    """Give a path to the steps of the body that have none in the journal.

    A step's path comes with its result, so one in flight, and one whose retries are exhausted,
    have none. As long as no branches are under way it can only be the next one of the body.
    """
    last = 0
    forked_at: int | None = None
    for entry in entries:
        if entry.kind != "step":
            continue
        if entry.path is None:
            if forked_at is None:
                last += 1
                entry.path = str(last)
            continue
        numbers = [int(number) for number in entry.path.split(".")]
        last = max(last, numbers[0])
        # Branches of the call with this number are under way until a later one of the body.
        forked_at = numbers[0] if len(numbers) > 1 else None


def match_undo(undo: Entry, steps: Iterable[Entry]) -> Entry | None:
    """The step that a compensation undoes: of those with its name, the one whose turn it is."""
    candidates = [
        step
        for step in steps
        if step.name == undo.name and step.undone_by is None and step.index < undo.index
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
        mine, theirs = _numbers(step), _numbers(older)
        for depth, (a, b) in enumerate(zip(mine, theirs, strict=False)):
            if a != b:
                if depth % 2 == 0 and a > b:
                    return True
                break
    return False


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
