"""The driver of an attempt: body, classify, drain, undo, final error (R1-R12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Never, TypeVar

from restate import TerminalError

from resaga.action import ordinary_exit
from resaga.attempt import Attempt
from resaga.classify import internal_of, raise_terminal, terminal_of
from resaga.compensation import Undo, unwind
from resaga.errors import MisuseError, RollbackIncomplete
from resaga.line import Line
from resaga.stack import Frame
from resaga.wire import carriable_terminal, raise_carriable

__all__ = ["drive", "raise_reportable"]

Out = TypeVar("Out")


async def drive(attempt: Attempt, body: Callable[[Line], Awaitable[Out]]) -> Out:
    """Run a saga's body; if it ends in a terminal error, undo what it did, then raise the error.

    The same code runs on every attempt. What the journal holds is replayed in the body and in
    the rollback alike, so a rollback that a crash interrupted goes on where it stood (R11).

    Raises:
        TerminalError: The body's own, if all compensations succeeded (R10).
        RollbackIncomplete: Some failed for good.
        BaseException: What is not terminal goes on, with nothing rolled back (R4).
    """
    if attempt.observers:
        attempt.moments.begin()
    if attempt.journal.fresh:
        attempt.tell_saga("on_saga_started")
    try:
        output = await _forward(attempt, body)
    except _RolledBack as end:
        attempt.tell_saga("on_saga_failed", end.error)
        raise_terminal(end.error)
    except BaseException as exc:
        raise_reportable(exc, where=attempt.where("The code"))
    attempt.tell_saga("on_saga_completed")
    return output


class _RolledBack(Exception):
    """The saga has been rolled back; nobody but `drive` sees this."""

    def __init__(self, error: TerminalError) -> None:
        super().__init__()
        self.error = error


async def _forward(attempt: Attempt, body: Callable[[Line], Awaitable[Out]]) -> Out:
    """Run the body, and roll back if it ends in a terminal error (R1)."""
    frame: Frame[Undo] = Frame()
    line = Line("", frame)
    try:
        output = await body(line)
        _check_nothing_left(attempt, line)
        attempt.journal.check()
    except BaseException as exc:
        terminal = terminal_of(exc, *attempt.mappers)
        if terminal is None:
            raise
        error = await _roll_back(attempt, frame, terminal)
    else:
        return output
    raise _RolledBack(error)


def raise_reportable(exc: BaseException, *, where: str) -> Never:
    """Raise what leaves a saga as something that the SDK can report, and Restate retries (R4).

    Args:
        exc: What is raised; a terminal error stays one.
        where: The saga, for the message of what stands for an exit.
    """
    internal = internal_of(exc)
    exit_ = ordinary_exit(internal or exc, where=where)
    if exit_ is not None:
        exit_.__cause__ = exc
        raise_carriable(exit_)
    if internal is not None:
        raise internal
    raise_carriable(exc)


async def _roll_back(
    attempt: Attempt, frame: Frame[Undo], terminal: TerminalError
) -> TerminalError:
    """Undo everything, and give the error that the caller gets (R6, R9, R10)."""
    await attempt.journal.drain()
    attempt.moments.rolling_back = attempt.moments.told
    failures = attempt.left_undone + await unwind(attempt, frame)
    if isinstance(terminal, RollbackIncomplete) and set(terminal.failures) <= set(failures):
        terminal = terminal.original  # A savepoint's own: its failures are among these.
    error = RollbackIncomplete(terminal, failures) if failures else terminal
    return carriable_terminal(error)


def _check_nothing_left(attempt: Attempt, line: Line) -> None:
    if line.in_flight is not None:
        raise MisuseError(
            f"{attempt.where('The body')} returned while step {line.in_flight!r} is in flight. "
            "Await every step, side by side ones with saga.gather(...)."
        )
