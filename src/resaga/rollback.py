"""The driver of an attempt: body, classify, drain, undo, final error (R1-R12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from restate import TerminalError

from resaga.attempt import Attempt
from resaga.classify import internal_of, raise_ordinary, raise_terminal, terminal_of
from resaga.compensation import Compensation, unwind
from resaga.errors import MisuseError, RollbackIncomplete
from resaga.line import Line
from resaga.stack import Frame
from resaga.wire import carriable, carriable_terminal

__all__ = ["drive"]

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
    frame: Frame[Compensation] = Frame()
    line = Line("", frame)
    if attempt.journal.fresh:
        attempt.tell_saga("on_saga_started")
    try:
        output = await body(line)
        _check_nothing_left(attempt, line)
        attempt.journal.check()
    except BaseException as exc:
        terminal = terminal_of(exc, attempt.mapper)
        if terminal is None:
            raise_ordinary(_sendable(exc))
        error = await _roll_back(attempt, frame, terminal)
        attempt.tell_saga("on_saga_failed", error)
        raise_terminal(error)
    attempt.tell_saga("on_saga_completed")
    return output


def _sendable(exc: BaseException) -> BaseException:
    return exc if internal_of(exc) is not None else carriable(exc)


async def _roll_back(
    attempt: Attempt, frame: Frame[Compensation], terminal: TerminalError
) -> TerminalError:
    """Undo everything, and give the error that the caller gets (R6, R9, R10)."""
    await attempt.journal.drain()
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
