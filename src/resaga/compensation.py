"""A registered compensation, and how it runs; unwinding a stack of them (R8-R12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec
from restate import TerminalError

from resaga.attempt import Attempt
from resaga.classify import internal_of, raise_ordinary, raise_terminal, terminal_of
from resaga.contexts import CompensationContext, DurableCompensationContext
from resaga.errors import CompensationFailure
from resaga.injection import Code
from resaga.intercept import Point, PointKind
from resaga.observe import Outcome
from resaga.policy import Retry
from resaga.record import ABSENT, About
from resaga.scope import current_waiter
from resaga.stack import Fork, Frame, Mark

__all__ = ["Compensation", "Undo", "keep_key", "unwind"]


class Undo(Protocol):
    """What is on the stack of a saga: something that undoes what was done."""

    @property
    def undo_key(self) -> str:
        """Unique to it in the saga, and the same on every attempt (R13)."""
        ...

    async def undo(self, attempt: Attempt) -> CompensationFailure | None:
        """Undo; what failed for good, if it did. An ordinary error is raised, and retried."""
        ...


@dataclass(slots=True, kw_only=True)
class Compensation:
    """What undoes a step, as registered by it.

    A hybrid step registers it before its action starts, and tells it afterwards how that ended;
    until then the outcome is ``unknown``.

    Attributes:
        name: The step's name.
        path: Which call of a step in the saga it belongs to.
        fn: The user's function, called with a context and the data.
        durable: Whether ``fn`` is durable code.
        retry: How often an ordinary error is retried (R11).
        forward_key: The idempotency key of the step's action.
        undo_key: The idempotency key of the compensation.
        input: The step's input.
        strict: Whether it is registered only when the step has completed.
        bounded: Whether the retries of the step's action come to an end.
        undoable: Whether there is anything to undo.
        data: Gives the step's data, afresh: the body may have changed the output it got.
        outcome: How the step ended.
        about: What the step's entry tells beside its result.
        began: When the step began, if it is durable and observers are told.
    """

    name: str
    path: str
    fn: Code
    durable: bool
    retry: Retry | None
    forward_key: str
    undo_key: str
    input: object
    strict: bool = True
    bounded: bool = False
    undoable: bool = True
    data: Callable[[], object] | None = None
    outcome: Outcome = "unknown"
    about: About | None = None
    began: int = 0

    async def undo(self, attempt: Attempt) -> CompensationFailure | None:
        """Run it, journaled (R11)."""
        return await attempt.around(
            partial(self.point, "compensation", attempt.journal.saga_id),
            partial(_undo_durable if self.durable else _undo_plain, attempt, self),
        )

    def point(self, kind: PointKind, saga_id: str) -> Point:
        """The place of the step, or of its compensation, for an interceptor."""
        undoing = kind in ("compensation", "undo")
        return Point(
            kind=kind,
            name=self.name,
            path=self.path,
            saga_id=saga_id,
            input=self.input,
            undoable=self.undoable,
            strict=self.strict,
            durable=self.durable,
            bounded=(self.retry is not None and self.retry.bounded) if undoing else self.bounded,
        )


async def unwind(
    attempt: Attempt, frame: Frame[Undo], since: Mark | None = None
) -> list[CompensationFailure]:
    """Undo what a frame holds, newest first (R9); all of it, or what came after a mark.

    A cancel does not reach into it (R8). An ordinary error of a compensation, or the end of the
    attempt, goes on to the caller; the next attempt replays what is undone and goes on there.

    Returns:
        The compensations that failed for good, in the order they were tried.
    """
    failures: list[CompensationFailure] = []
    for item in frame.unwind(since):
        if isinstance(item, Fork):
            failures += await _unwind_fork(attempt, item)
            continue
        with attempt.journal.shield(item.undo_key):
            failure = await item.undo(attempt)
        if failure is not None:
            failures.append(failure)
    return failures


async def _unwind_fork(attempt: Attempt, fork: Fork[Undo]) -> list[CompensationFailure]:
    """Undo branches that ran side by side, side by side (R17)."""
    waiter = current_waiter.get()
    prefix = "undo." if waiter is None else f"{waiter.prefix}undo."
    failures = await attempt.scheduler.run(
        [(prefix, None, unwind(attempt, frame)) for frame in fork.frames if frame],
        where=attempt.where("the rollback"),
        abandons=False,
    )
    return [failure for branch in failures for failure in branch]


class Kept(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The entry that durable code begins with.

    Attributes:
        key: Its idempotency key.
        about: What else is told of it.
    """

    key: str
    about: About | None = None

    @property
    def began(self) -> int:
        """When it began, if that was noted."""
        return 0 if self.about is None else self.about.began


class _Undone(msgspec.Struct, frozen=True):
    """What the first compensation of a rollback leaves, where there are observers."""

    about: About


async def keep_key(
    attempt: Attempt,
    name: str,
    key: str,
    *,
    on_begin: Callable[[], None],
    about: Callable[[], About | None] = lambda: None,
) -> Kept:
    """Journal the idempotency key of durable code under its name, and give what is journaled.

    Durable code has no entry of its own that could keep it, and without one, a copy of the
    invocation (Restate's restart-as-new) would replay the code with another key than the calls
    in its journal were made with (R13). The entry makes the code's begin readable, too (R23),
    and is the place to tell observers of it: ``on_begin`` is called unless it was journaled.

    Args:
        attempt: The attempt.
        name: What the entry is called.
        key: The key.
        on_begin: Called when the code begins.
        about: Gives what else to tell of it, when it begins.
    """

    async def action() -> bytes:
        on_begin()
        return msgspec.json.encode(Kept(key=key, about=about()))

    return msgspec.json.decode(await attempt.journal.run(name, action), type=Kept)


def _data_of(entry: Compensation) -> tuple[bool, object]:
    data = ABSENT if entry.data is None else entry.data()
    return (False, entry.input) if data is ABSENT else (True, data)


async def _undo_plain(attempt: Attempt, entry: Compensation) -> CompensationFailure | None:
    async def action() -> bytes:
        has_data, data = _data_of(entry)

        def context(services: object) -> CompensationContext[object, object]:
            return CompensationContext(
                name=entry.name,
                saga_id=attempt.journal.saga_id,
                idempotency_key=entry.undo_key,
                forward_idempotency_key=entry.forward_key,
                services=services,
                input=entry.input,
                has_data=has_data,
                outcome=entry.outcome,
            )

        began = attempt.moments.undo()
        _tell(attempt, entry, "on_compensation_started")
        try:
            await attempt.around(
                lambda: entry.point("undo", attempt.journal.saga_id),
                lambda: entry.fn.in_action(attempt, context, data, where=_where(attempt, entry)),
            )
        except Exception as exc:
            terminal = terminal_of(exc, mapped=False)
            if internal_of(exc) is None:
                _tell(attempt, entry, "on_compensation_failed", error=exc, retried=terminal is None)
            if terminal is None:
                raise
            raise_terminal(terminal)
        _tell(attempt, entry, "on_compensation_completed")
        return msgspec.json.encode(_Undone(About(began=began))) if first and began else b""

    first = not attempt.moments.rollback_began
    try:
        kept = await attempt.journal.run(f"compensate:{entry.name}", action, retry=entry.retry)
    except TerminalError as error:
        return CompensationFailure(entry.name, error.message, error.status_code)
    if kept:
        attempt.moments.undo(msgspec.json.decode(kept, type=_Undone).about.began)
    return None


async def _undo_durable(attempt: Attempt, entry: Compensation) -> CompensationFailure | None:
    has_data, data = _data_of(entry)

    def about() -> About | None:
        began = attempt.moments.now()
        return About(began=began) if began else None

    def begin() -> None:
        attempt.moments.undo()
        _tell(attempt, entry, "on_compensation_started")

    kept = await keep_key(
        attempt, f"compensate:{entry.name}", entry.undo_key, on_begin=begin, about=about
    )
    key, began = kept.key, kept.began
    if began:
        attempt.moments.undo(began)

    def context(services: object) -> DurableCompensationContext[object, object]:
        return DurableCompensationContext(
            name=entry.name,
            saga_id=attempt.journal.saga_id,
            idempotency_key=key,
            forward_idempotency_key=entry.forward_key,
            services=services,
            input=entry.input,
            has_data=has_data,
            outcome=entry.outcome,
            ctx=attempt.journal.ctx,
        )

    try:
        with attempt.journal.shield(key):
            await attempt.around(
                lambda: entry.point("undo", attempt.journal.saga_id),
                lambda: entry.fn.durably(attempt, context, data, where=_where(attempt, entry)),
            )
    except BaseException as exc:
        terminal = terminal_of(exc, mapped=False)
        if internal_of(exc) is None and not attempt.journal.replaying:
            _tell(
                attempt,
                entry,
                "on_compensation_failed",
                error=exc,
                retried=terminal is None,
                began=began,
            )
        if terminal is None:
            raise_ordinary(exc)
        return CompensationFailure(entry.name, terminal.message, terminal.status_code)
    if not attempt.journal.replaying:
        _tell(attempt, entry, "on_compensation_completed", began=began)
    return None


def _where(attempt: Attempt, entry: Compensation) -> str:
    return attempt.where(f"the compensation of step {entry.name!r}")


def _tell(
    attempt: Attempt,
    entry: Compensation,
    method: str,
    *,
    error: BaseException | None = None,
    retried: bool = False,
    began: int = 0,
) -> None:
    attempt.tell_step(
        method,
        entry.name,
        entry.path,
        outcome=entry.outcome,
        error=error,
        retried=retried,
        began=began,
    )
