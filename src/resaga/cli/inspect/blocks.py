"""Entries arranged as they ran: one after the other, side by side, and inside. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from resaga.cli.inspect.model import Entry, Line, Nest

__all__ = ["Block", "Gather", "Inside", "arrange"]


@dataclass(frozen=True, slots=True)
class Gather:
    """Branches that ran, or were undone, side by side; each with its number."""

    branches: tuple[tuple[int, list[Block]], ...]


@dataclass(frozen=True, slots=True)
class Inside:
    """What a workflow or module did that ran inside."""

    nest: Nest
    blocks: list[Block]


Block: TypeAlias = Entry | Gather | Inside


def arrange(entries: Sequence[Entry], line: Line = ()) -> list[Block]:
    """Arrange the entries of one line of execution and of the branches below it.

    Args:
        entries: In the order of the journal.
        line: The line that they belong to, or to branches of.
    """
    depth = len(line)
    arranged: list[Block] = []
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
    blocks = [next(made) if isinstance(block, Gather) else block for block in arranged]
    return _nested(blocks, line, 0)


def _nested(blocks: Sequence[Block], line: Line, level: int) -> list[Block]:
    """Put what ran inside workflows or modules of a line into blocks of theirs."""
    found: list[Block] = []
    for nest, group in groupby(blocks, lambda block: _nest_of(block, line, level)):
        members = list(group)
        if nest is not None:
            members = [Inside(nest, _nested(members, line, level + 1))]
        found += members
    return found


def _nest_of(block: Block, line: Line, level: int) -> Nest | None:
    entry = block
    while not isinstance(entry, Entry):
        entry = (entry.branches[0][1] if isinstance(entry, Gather) else entry.blocks)[0]
    nests = [nest for nest in entry.within if nest.line == line and entry.kind != "undo"]
    return nests[level] if level < len(nests) else None


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
