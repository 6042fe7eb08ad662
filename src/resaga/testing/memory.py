"""What outlives an attempt of a saga that runs without a server: its journal, in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from restate.vm import Failure, NotificationType

from resaga.testing.retries import Tries

__all__ = ["Called", "Entry", "MemoryJournal"]

Called = Callable[[str, str, bytes], bytes | Failure]
"""What another handler answers: service, handler and input, to its output."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """A command, and what came of it.

    Attributes:
        kind: ``run``, ``sleep``, ``call`` and so on.
        name: Its name, or what is called.
        done: Whether it has a result.
        result: That.
        at: When a sleep is over, in milliseconds.
        tries: The attempts of an action.
    """

    kind: str
    name: str
    done: bool = False
    result: NotificationType = None
    at: float = 0.0
    tries: Tries = field(default_factory=Tries)


@dataclass(slots=True, kw_only=True)
class MemoryJournal:
    """What outlives an attempt.

    Attributes:
        called: Answers calls to other handlers.
        state: The state of a virtual object.
        entries: The commands, in order.
        now: The time, in milliseconds since the start.
        news: What came in, in order: the places of commands with a result, and cancels.
        output: What the saga returned.
        failure: What it failed with.
        error: What its last attempt failed with, if that is to be made again.
    """

    called: Called
    state: dict[str, bytes] = field(default_factory=dict[str, bytes])
    entries: list[Entry] = field(default_factory=list[Entry])
    now: float = 0.0
    news: list[int | None] = field(default_factory=list["int | None"])
    output: bytes | None = None
    failure: Failure | None = None
    error: str = ""

    def is_over(self) -> bool:
        """Whether the saga is over."""
        return self.output is not None or self.failure is not None

    def cancel(self) -> None:
        """Cancel the saga."""
        self.news.append(None)

    def complete(self, handle: int, result: NotificationType) -> None:
        """A command has a result, if it has none yet."""
        entry = self.entries[handle]
        if not entry.done:
            entry.done, entry.result = True, result
            self.news.append(handle)
