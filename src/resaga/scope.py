"""Where in a saga some code runs: in which branch, in which rollback, for which action."""

from __future__ import annotations

import contextvars
from collections.abc import Coroutine
from typing import Any, Protocol

from restate.vm import UnresolvedFuture

from resaga.errors import Interruption

__all__ = ["Shield", "Waiter", "current_acting", "current_line", "current_shield", "current_waiter"]


class Shield:
    """A rollback in progress: waits inside it do not see a cancel (R8).

    Attributes:
        key: Idempotency key of the compensation that runs in it; the calls it makes derive
            theirs, so that their results are kept until they are attached to.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._calls = 0

    def next_call_key(self) -> str:
        """The idempotency key of the next call that names none."""
        self._calls += 1
        return f"{self.key}.call{self._calls}"


class Waiter(Protocol):
    """A branch, which does not wait by itself: its scheduler waits for all of them (R17)."""

    prefix: str
    """The path of its steps."""

    draining: bool
    """Whether it awaits what is not durable, as its own actions' end, and may (`Journal.io`)."""

    def abandoned(self) -> Interruption | None:
        """What ends it early, if a branch beside it has failed."""
        ...

    def progress(self, wanted: UnresolvedFuture, *, shielded: bool) -> Coroutine[Any, Any, bool]:
        """Wait; whether ``wanted`` is there, or an interruption came instead."""
        ...


current_shield: contextvars.ContextVar[Shield | None] = contextvars.ContextVar(
    "resaga_shield", default=None
)
current_acting: contextvars.ContextVar[str] = contextvars.ContextVar("resaga_acting", default="")
current_waiter: contextvars.ContextVar[Waiter | None] = contextvars.ContextVar(
    "resaga_branch", default=None
)


def current_line() -> str:
    """The prefix of the line of execution that this runs in: ``""`` in a saga's body."""
    waiter = current_waiter.get()
    return "" if waiter is None else waiter.prefix
