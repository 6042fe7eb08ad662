"""Entries arranged as they ran: one after the other, and branches side by side. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resaga.cli.inspect.model import Entry, Line

__all__ = ["Gather", "arrange"]


@dataclass(frozen=True, slots=True)
class Gather:
    """Branches that ran, or were undone, side by side; each with its number."""

    branches: tuple[tuple[int, list[Entry | Gather]], ...]


def arrange(entries: Sequence[Entry], line: Line = ()) -> list[Entry | Gather]:
    """Arrange the entries of one line of execution and of the branches below it.

    Args:
        entries: In the order of the journal.
        line: The line that they belong to, or to branches of.
    """
    depth = len(line)
    arranged: list[Entry | Gather] = []
    groups: dict[tuple[Line, bool], list[Entry]] = {}
    for entry in entries:
        if len(entry.line) <= depth:
            arranged.append(entry)
            continue
        gather = entry.line[: depth + 1]
        # What a savepoint undoes while its branches go on stands among them.
        later = any(
            e.kind != "undo" and e.index > entry.index and e.line[: depth + 1] == gather
            for e in entries
        )
        key = (gather, entry.kind == "undo" and not later)
        if key not in groups:
            groups[key] = []
            arranged.append(Gather(()))
        groups[key].append(entry)
    made = iter([_gather(members, depth) for members in groups.values()])
    return [next(made) if isinstance(block, Gather) else block for block in arranged]


def _gather(members: Sequence[Entry], depth: int) -> Gather:
    numbers = sorted({member.line[depth + 1] for member in members})
    return Gather(
        tuple(
            (
                number,
                arrange(
                    [member for member in members if member.line[depth + 1] == number],
                    (*members[0].line[: depth + 1], number),
                ),
            )
            for number in numbers
        )
    )
