"""What an attempt of a saga under test is run through: it notes what happens, and breaks it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Never, TypeVar, cast

from restate import TerminalError
from restate.server_context import DisconnectedException

from resaga import Interruption, SagaEvent, SagaObserver, StepEvent, StepResponse
from resaga.intercept import Point
from resaga.scope import current_waiter
from resaga.testing.connection import Connection, current_connection
from resaga.testing.faults import ANY_STEP, Fault, When
from resaga.testing.trace import Event, Trace

__all__ = ["Recording", "Watcher"]

T = TypeVar("T")


class Recording:
    """One run of a saga: its faults, and what has happened so far.

    Attributes:
        trace: What has happened.
        saga_id: The invocation id, once the first attempt has begun.
        attempts: How many attempts have begun.
        fired: How often each fault has struck, by its place in the plan.
        points: The calls of steps that the body has come to, by path.
        inputs: What the body gave each call of a step, as often as it called it: one that
            differs between attempts is no replay.
    """

    def __init__(self, faults: Sequence[Fault], cancel: Callable[[str], None]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        self.trace: Trace = Trace()
        self.saga_id: str = ""
        self.attempts: int = 0
        self.fired: Counter[int] = Counter()
        self.points: dict[str, Point] = {}
        self.inputs: dict[str, list[tuple[str, object]]] = {}
        self._cancel = cancel
        self._calls: dict[str, list[str]] = {}

    def begin_attempt(self, saga_id: str) -> Controls:
        """Another attempt begins; gives its interceptor."""
        self.saga_id = saga_id
        self.attempts += 1
        self.note(Event(subject="attempt", what="started", attempt=self.attempts))
        return Controls(self, current_connection.get())

    def note(self, event: Event) -> None:
        """Something happened."""
        self.trace.events.append(event)

    def cancel(self) -> None:
        """Cancel the saga through Restate."""
        self.note(Event(subject="cancel", what="sent", attempt=self.attempts))
        self._cancel(self.saga_id)

    def see(self, point: Point) -> None:
        """The body has come to a call of a step."""
        self.points.setdefault(point.path, point)
        calls = self._calls.setdefault(point.name, [])
        if point.path not in calls:
            calls.append(point.path)
        self.inputs.setdefault(point.path, []).append((point.name, point.input))

    def due(self, point: Point, *, when: When, cancels: bool) -> Fault | None:
        """The fault that is to strike here and now, if any; it is counted as having struck."""
        undo = point.kind in ("compensation", "undo")
        for number, fault in enumerate(self.faults):
            if (
                fault.step in (point.name, ANY_STEP)
                and fault.undo is undo
                and (fault.kind == "cancel") is cancels
                and fault.when == when
                and self._is_call(fault, point)
                and (fault.times is None or self.fired[number] < fault.times)
            ):
                self.fired[number] += 1
                return fault
        return None

    def unreached(self) -> list[Fault]:
        """The faults that name a step, or a call of one, that the body has not come to."""
        return [
            fault
            for fault in self.faults
            if fault.step != ANY_STEP and self._path_of(fault) is None
        ]

    @property
    def steps(self) -> list[str]:
        """The names of the steps that the body has come to, in that order."""
        return list(self._calls)

    def _is_call(self, fault: Fault, point: Point) -> bool:
        return fault.step == ANY_STEP or self._path_of(fault) == point.path

    def _path_of(self, fault: Fault) -> str | None:
        """The call of a step that a fault is for, if the body has come to it."""
        calls = self._calls.get(fault.step, ())
        return calls[fault.call - 1] if len(calls) >= fault.call else None


class Controls:
    """The interceptor of one attempt."""

    def __init__(self, recording: Recording, connection: Connection | None) -> None:
        self._recording = recording
        self._connection = connection
        self._number = recording.attempts

    async def around(self, point: Point, proceed: Callable[[], Awaitable[T]]) -> T:
        """Note what happens at a point, and let the faults strike that are due there."""
        if point.kind in ("step", "compensation"):
            return await self._call(point, proceed)
        try:
            return cast(T, await self._code(point, proceed))
        finally:
            self._note(point, "ended")

    def pivoted(self) -> None:
        """Note that the body has passed its point of no return."""
        self._note_once(Event(subject="pivot", what="completed", attempt=self._number))

    # -- a call of a step, or an entry of a rollback ----------------------------------------

    async def _call(self, point: Point, proceed: Callable[[], Awaitable[T]]) -> T:
        recording = self._recording
        if point.kind == "step":
            recording.see(point)
        self._note(point, "called")
        told = len(recording.trace.events)
        if recording.due(point, when="before", cancels=True):
            self._cancel_between_steps()
        try:
            result = await proceed()
        except TerminalError as exc:
            # Interrupted, a step has no result, or one that the journal has told of already.
            if not isinstance(exc, Interruption) and not self._was_told(point, told):
                self._note(point, "failed", replayed=True, error=exc)
            raise
        if not self._was_told(point, told):
            # A compensation gives what it failed with, a step raises it.
            failed = point.kind == "compensation" and result is not None
            self._note(point, "failed" if failed else "completed", replayed=True)
        if recording.due(point, when="after", cancels=True):
            self._cancel_between_steps()
        if recording.due(point, when="journaled", cancels=False):
            self._lose("when the result was journaled")
        return result

    def _was_told(self, point: Point, since: int) -> bool:
        subject = _subject(point)
        return any(
            e.subject == subject and e.path == point.path and e.what in ("completed", "failed")
            for e in self._recording.trace.events[since:]
        )

    # -- the user's code --------------------------------------------------------------------

    async def _code(self, point: Point, proceed: Callable[[], Awaitable[T]]) -> T | object:
        recording = self._recording
        if recording.due(point, when="during", cancels=True):
            await self._cancel(point)
        fault = recording.due(point, when="before", cancels=False)
        if fault is None:
            result = await proceed()
            fault = recording.due(point, when="after", cancels=False)
            return result if fault is None else await self._strike(point, fault)
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay.total_seconds())
            return await proceed()
        return await self._strike(point, fault)

    async def _strike(self, point: Point, fault: Fault) -> object:
        match fault.kind:
            case "unserialisable":
                return object()
            case "permanent failure":
                assert isinstance(fault.error, TerminalError)
                return StepResponse.permanent_failure(
                    fault.error.message, status_code=fault.error.status_code
                )
            case "hang":
                await asyncio.Event().wait()
            case "lose worker" if point.durable:
                self._lose(f"{fault.when} the effect")
            case "lose worker":
                self._break_connection(f"{fault.when} the effect")
                # Nothing that this attempt does from here on counts: it is cancelled.
                await asyncio.Event().wait()
            case _:
                assert fault.error is not None
                # Raised again, one instance would grow its traceback.
                raise fault.error.with_traceback(None)
        return None

    # -- what faults do ---------------------------------------------------------------------

    async def _cancel(self, point: Point) -> None:
        """Cancel the saga while the user's code is in flight, and let it know."""
        connection = self._connection
        signals = 0 if connection is None else connection.signals
        self._recording.cancel()
        # Durable code in a branch waits for nothing but what is durable: there the cancel comes
        # when it comes.
        if connection is not None and (not point.durable or current_waiter.get() is None):
            await connection.hear(more_than=signals)

    def _cancel_between_steps(self) -> Never:
        """Cancel the saga, and end the attempt: the next one meets the cancel in its journal.

        A running attempt reads what it is told only when it waits, which would be with the next
        step under way.
        """
        self._recording.cancel()
        if self._connection is not None:
            self._connection.lose()
        raise DisconnectedException

    def _lose(self, how: str) -> Never:
        self._break_connection(how)
        raise DisconnectedException

    def _break_connection(self, how: str) -> None:
        self._recording.note(Event(subject="worker", what="lost", attempt=self._number, error=how))
        if self._connection is not None:
            self._connection.lose()

    # -- noting -----------------------------------------------------------------------------

    def _note(
        self,
        point: Point,
        what: Any,
        *,
        replayed: bool = False,
        error: TerminalError | None = None,
    ) -> None:
        self._recording.note(
            Event(
                subject=_subject(point),
                what=what,
                attempt=self._number,
                step=point.name,
                path=point.path,
                replayed=replayed,
                error=None if error is None else error.message,
                undoable=point.undoable,
            )
        )

    def _note_once(self, event: Event) -> None:
        if all(e.subject != event.subject for e in self._recording.trace.events):
            self._recording.note(event)


def _subject(point: Point) -> Any:
    return "step" if point.kind in ("step", "action") else "compensation"


class Watcher(SagaObserver):
    """Notes what observers are told, in the recording of the saga that it is told of."""

    def __init__(self) -> None:
        self.recordings: dict[str, Recording] = {}

    def on_saga_started(self, event: SagaEvent) -> None:
        """Note it."""
        self._saga(event, "started")

    def on_saga_completed(self, event: SagaEvent) -> None:
        """Note it."""
        self._saga(event, "completed")

    def on_saga_failed(self, event: SagaEvent) -> None:
        """Note it."""
        self._saga(event, "failed")

    def on_step_started(self, event: StepEvent) -> None:
        """Note it."""
        self._step(event, "step", "started")

    def on_step_completed(self, event: StepEvent) -> None:
        """Note it."""
        self._step(event, "step", "completed")

    def on_step_failed(self, event: StepEvent) -> None:
        """Note it."""
        self._step(event, "step", "failed")

    def on_compensation_started(self, event: StepEvent) -> None:
        """Note it."""
        self._step(event, "compensation", "started")

    def on_compensation_completed(self, event: StepEvent) -> None:
        """Note it."""
        self._step(event, "compensation", "completed")

    def on_compensation_failed(self, event: StepEvent) -> None:
        """Note it."""
        self._step(event, "compensation", "failed")

    def _saga(self, event: SagaEvent, what: Any) -> None:
        recording = self.recordings.get(event.saga_id)
        if recording is not None:
            recording.note(
                Event(
                    subject="saga",
                    what=what,
                    attempt=recording.attempts,
                    error=_said(event.error),
                )
            )

    def _step(self, event: StepEvent, subject: Any, what: Any) -> None:
        recording = self.recordings.get(event.saga_id)
        if recording is not None:
            recording.note(
                Event(
                    subject=subject,
                    what=what,
                    attempt=recording.attempts,
                    step=event.step,
                    path=event.path,
                    outcome=event.outcome,
                    error=_said(event.error),
                    retried=event.retried,
                )
            )


def _said(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return error.message if isinstance(error, TerminalError) else f"{type(error).__name__}: {error}"
