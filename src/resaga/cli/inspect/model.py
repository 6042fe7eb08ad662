"""A saga as an operator sees it, as plain data: what happened in which order, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from resaga.cli.inspect.states import State

__all__ = ["Entry", "Failed", "Kind", "Line", "Nest", "Outcome", "SagaView", "Summary"]

Kind: TypeAlias = Literal[
    "step", "undo", "added", "action", "sleep", "call", "send", "attach", "other"
]
"""``step`` and ``undo`` are resaga's, and ``added``, a compensation that has no step. ``action`` is
a ``ctx.run`` of the user's own, and the rest is what durable code asked of Restate."""

Outcome: TypeAlias = Literal[
    "completed", "failed", "unknown", "in flight", "waiting", "begun", "dropped"
]
"""``in flight`` has begun and has no result; ``waiting`` is the same of what Restate does by
itself; ``begun`` is durable code whose end the journal does not tell (yet); ``dropped`` is what had
no result when the saga ended."""

Line: TypeAlias = tuple[int, ...]
"""A line of execution: ``()`` for the body, ``(2, 1)`` for the first branch of its second call."""


@dataclass(frozen=True, slots=True)
class Nest:
    """A workflow or module that runs inside a saga.

    Attributes:
        name: Its name.
        path: The path that its first step has.
    """

    name: str
    path: str

    @property
    def line(self) -> Line:
        """The line of execution that it runs in."""
        return tuple(map(int, self.path.split(".")[:-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An error: the one that something ended with, or one of an attempt that is tried again."""

    message: str
    code: int | None = None
    at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Entry:
    """One thing in a saga's journal.

    Attributes:
        index: Where it stands in the journal.
        kind: What it is.
        name: The step's name; for the others what Restate calls them.
        started: When it was journaled that it begins.
        ended: When its result was journaled.
        outcome: How it ended.
        path: Which call of a step it is, ``"3"`` or in branches ``"2.1.3"``; for an undo, of the
            step that it undoes. ``None`` where the journal does not tell, as with a step that
            is in flight side by side with others.
        failure: What it failed with for good.
        errors: The different errors of attempts that were tried again, as far as Restate keeps
            them.
        undone_by: The undo that belongs to a step, if it has begun.
        undoable: Whether a step has a compensation; ``None`` where the journal does not tell,
            which it does with the step's result.
        passed_over: A rollback, or a point of no return, has gone past this step: it is not
            undone any more.
        within: The workflows and modules that it runs inside, the outermost first; known with a
            step's result.
        durable: Whether this is the beginning of a durable step or compensation, whose own
            entries follow.
        target: What a call or send calls.
        child_id: The invocation that it began.
        child: That invocation, where it was looked at.
        until: When a sleep ends.
        payloads: What it took and gave, by name, where that was asked for.
    """

    index: int
    kind: Kind
    name: str
    started: datetime | None
    ended: datetime | None = None
    outcome: Outcome
    path: str | None = None
    failure: Failed | None = None
    errors: list[Failed] = field(default_factory=list[Failed])
    undone_by: Entry | None = None
    undoable: bool | None = None
    passed_over: bool = False
    within: tuple[Nest, ...] = ()
    durable: bool = False
    target: str | None = None
    child_id: str | None = None
    child: SagaView | None = None
    until: datetime | None = None
    payloads: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def line(self) -> Line:
        """The line of execution it belongs to; the body's where that is not known."""
        return () if self.path is None else tuple(map(int, self.path.split(".")[:-1]))

    @property
    def is_undone(self) -> bool:
        """Whether its compensation has run, be it in vain."""
        return self.undone_by is not None and self.undone_by.outcome in ("completed", "failed")

    @property
    def duration(self) -> timedelta | None:
        """From its begin to its result."""
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One saga in a list.

    Attributes:
        id: The invocation id.
        workflow: The definition, and the handler where that is not ``run``; with the key, if any.
        state: Where it stands.
        created: When it was asked for.
        ended: When it ended.
        attempts: How many attempts its current streak has; ``None`` when it is not tried now.
        next_attempt: When it is tried again, if it backs off.
        error: What it failed with, or what its last attempt failed with.
    """

    id: str
    workflow: str
    state: State
    created: datetime
    ended: datetime | None = None
    attempts: int | None = None
    next_attempt: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaView:
    """One saga.

    Attributes:
        summary: What a list says of it.
        is_saga: Whether the handler is one of resaga's, as far as the server knows.
        status: Restate's own word for where the invocation stands.
        entries: What happened, in the order of the journal.
        failure: What it ended with; with the code and message its caller gets.
        errors: Errors of attempts that belong to no entry.
        killed: Whether it was killed, so that nothing was undone.
        cancelled_at: When it was cancelled, if it was.
        deadline: When its forward part is to be done, if it has a deadline.
        has_journal: Whether the journal is still there: after its retention it is not.
        restarted_from: The invocation that it is a copy of.
        parent_id: The invocation that called it.
        now: When this was read.
        payloads: Its input and output, where that was asked for.
    """

    summary: Summary
    is_saga: bool
    status: str
    entries: list[Entry]
    failure: Failed | None
    errors: list[Failed]
    killed: bool
    cancelled_at: datetime | None
    deadline: datetime | None
    has_journal: bool
    restarted_from: str | None
    parent_id: str | None
    now: datetime
    payloads: dict[str, object]

    @property
    def steps(self) -> list[Entry]:
        """Its steps, oldest first."""
        return [entry for entry in self.entries if entry.kind == "step"]

    @property
    def undos(self) -> list[Entry]:
        """Its compensations, in the order they ran."""
        return [entry for entry in self.entries if entry.kind == "undo"]

    @property
    def on_stack(self) -> list[Entry]:
        """What a rollback would undo now, or what is left to undo, newest first.

        A step that has no result yet, or whose retries are exhausted, is among them, though the
        journal does not tell whether it has a compensation.
        """
        if self.summary.ended is not None and not self.killed:
            return []
        return [
            entry
            for entry in reversed(self.entries)
            if entry.kind in ("step", "added")
            and not (entry.is_undone or entry.passed_over or entry.undoable is False)
        ]

    @property
    def not_undone(self) -> list[Entry]:
        """The compensations that failed for good, in the order they were tried."""
        return [undo for undo in self.undos if undo.outcome == "failed"]

    @property
    def last_error(self) -> Failed | None:
        """The newest error of an attempt, or what the saga failed with."""
        if self.failure is not None:
            return self.failure
        told = [*self.errors, *(error for entry in self.entries for error in entry.errors)]
        dated = [error for error in told if error.at is not None]
        return max(dated, key=lambda error: error.at or self.now, default=None)

    def walk(self) -> Iterator[SagaView]:
        """This saga and those below it, each before its own."""
        yield self
        for entry in self.entries:
            if entry.child is not None:
                yield from entry.child.walk()
