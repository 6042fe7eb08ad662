"""Branches side by side: which column each entry of a timeline stands in. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from resaga.cli.inspect.model import Entry, Line

__all__ = ["Row", "lay_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a timeline.

    Attributes:
        open: The lanes that are under way, by column; ``None`` for a free column.
        entry: What happened in it; ``None`` where branches begin or end.
        column: The column of the entry, or of the line that branches begin and end at.
        branches: The columns of the branches that begin or end here.
        begins: Whether they begin.
    """

    open: tuple[Line | None, ...]
    entry: Entry | None = None
    column: int
    branches: tuple[int, ...] = ()
    begins: bool = False


def lay_out(entries: Sequence[Entry]) -> list[Row]:
    """Give each entry a column: the body's is the first, each branch has one while it runs.

    Entries whose line the journal does not tell stand in the body's.
    """
    return list(_Layout(entries).rows())


class _Fork(NamedTuple):
    """Branches that are under way together: of a gather, or of its rollback."""

    gather: Line
    undoing: bool


class _Layout:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._columns: list[Line | None] = [()]
        self._open: list[_Fork] = []
        self._last: dict[_Fork, int] = {}
        self._branches: dict[_Fork, set[Line]] = defaultdict(set)
        for entry in entries:
            for fork in _forks(entry):
                self._last[fork] = entry.index
                self._branches[fork].add(entry.line[: len(fork.gather) + 1])

    def rows(self) -> Iterator[Row]:
        for entry in self._entries:
            while self._open and self._last[self._open[-1]] < entry.index:
                yield self._close(self._open.pop())
            for fork in _forks(entry):
                # A savepoint that is undone within a branch has its column already.
                if entry.line[: len(fork.gather) + 1] not in self._columns:
                    self._open.append(fork)
                    yield self._begin(fork)
            yield Row(open=tuple(self._columns), entry=entry, column=self._column(entry.line))
        while self._open:
            yield self._close(self._open.pop())

    def _begin(self, fork: _Fork) -> Row:
        parent = self._column(fork.gather[:-1])
        while len(self._columns) > parent + 1 and self._columns[-1] is None:
            self._columns.pop()
        first = len(self._columns)
        self._columns += sorted(self._branches[fork])
        branches = tuple(range(first, len(self._columns)))
        return Row(open=tuple(self._columns), column=parent, branches=branches, begins=True)

    def _close(self, fork: _Fork) -> Row:
        taken = self._branches[fork].intersection(self._columns)
        branches = tuple(sorted(self._columns.index(branch) for branch in taken))
        row = Row(
            open=tuple(self._columns), column=self._column(fork.gather[:-1]), branches=branches
        )
        for column in branches:
            self._columns[column] = None
        return row

    def _column(self, line: Line) -> int:
        return self._columns.index(line) if line in self._columns else 0


def _forks(entry: Entry) -> Iterator[_Fork]:
    """The forks that an entry stands in, the outermost first."""
    for depth in range(0, len(entry.line), 2):
        yield _Fork(entry.line[: depth + 1], entry.kind == "undo")
