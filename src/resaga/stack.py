"""The stack of compensations as plain data: order, branches, savepoints, pivot.

No I/O and no Restate here: a `Frame` says what is to be undone, and in which order; the
rollback driver takes from it, one `Undo` at a time. A frame is a list of registrations, oldest
first. Branches that ran side by side stand in it as one `Fork` of frames, at the place where
they were started, so that they are undone side by side, before what came before them.
Every operation is O(1) in the number of steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

__all__ = ["Fork", "Frame", "Mark"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a savepoint begins in its frame. A pivot inside it makes it begin anew (R19)."""

    epoch: int
    size: int


@dataclass(frozen=True, slots=True)
class Fork(Generic[R]):
    """Branches that ran side by side; each is undone newest first, all at the same time."""

    frames: tuple[Frame[R], ...]


@dataclass(slots=True)
class Frame(Generic[R]):
    """What one line of execution has registered, oldest first."""

    _items: list[R | Fork[R]] = field(default_factory=list[R | Fork[R]])
    _epoch: int = 0

    def __bool__(self) -> bool:
        return bool(self._items)

    def push(self, registration: R) -> None:
        """Register a compensation; it is undone before all that were registered earlier (R9)."""
        self._items.append(registration)

    def fork(self, branches: int) -> tuple[Frame[R], ...]:
        """Open frames for branches that run side by side (R17)."""
        frames: tuple[Frame[R], ...] = tuple(Frame() for _ in range(branches))
        self._items.append(Fork(frames))
        return frames

    def mark(self) -> Mark:
        """Begin a savepoint (R18)."""
        return Mark(self._epoch, len(self._items))

    def pivot(self) -> None:
        """Drop all that was registered so far, also before a savepoint that is open (R19)."""
        self._items.clear()
        self._epoch += 1

    def unwind(self, since: Mark | None = None) -> Iterator[R | Fork[R]]:
        """Take what is to be undone, newest first: all of it, or what came after a mark.

        Each item leaves the frame when it is handed out, so nothing is undone twice, and what a
        savepoint has undone is not undone again by the saga.
        """
        floor = 0
        if since is not None and since.epoch == self._epoch:
            floor = since.size
        while len(self._items) > floor:
            yield self._items.pop()

    def pending(self) -> Iterator[R]:
        """All registrations that a rollback would undo now, oldest first, branches in order."""
        for item in self._items:
            if isinstance(item, Fork):
                for frame in cast("Fork[R]", item).frames:
                    yield from frame.pending()
            else:
                yield item
