"""One line of execution of a saga: its body, or one branch of it."""

from __future__ import annotations

from resaga.attempt import Attempt
from resaga.compensation import Undo
from resaga.errors import MisuseError
from resaga.record import About
from resaga.stack import Frame

__all__ = ["Line"]


class Line:
    """One line of execution of a saga: its body, or one branch of it.

    It numbers the calls of steps, so that keys are unique and the same on every replay (R13),
    and sees to it that there is one step at a time (R21).
    """

    def __init__(self, prefix: str, frame: Frame[Undo], pivot: int = 0) -> None:
        self.frame = frame
        self.prefix = prefix
        self.last_pivot: int = pivot
        self._calls = 0
        self._added: list[tuple[str, str]] = []
        self._in_flight: str | None = None

    def next_path(self) -> str:
        """Which call of a step this is: ``"3"``, in a branch ``"3.1.2"``."""
        self._calls += 1
        return f"{self.prefix}{self._calls}"

    @property
    def coming_path(self) -> str:
        """What `next_path` will give."""
        return f"{self.prefix}{self._calls + 1}"

    def pivot(self) -> None:
        """Drop what was registered so far (R19)."""
        self.frame.pivot()
        self.last_pivot = self._calls
        self._added.clear()

    def note_added(self, path: str, name: str) -> None:
        """Note a compensation that has no step: the next step's entry tells of it."""
        self._added.append((path, name))

    def about(self, attempt: Attempt, path: str, *, undo: bool, durable: bool) -> About | None:
        """What the entry of a step tells beside its result; ``None`` if all is as usual.

        Args:
            attempt: The attempt that runs it.
            path: Which call of a step it is.
            undo: Whether it has a compensation.
            durable: Whether it is durable code.
        """
        told = attempt.moments
        saga_began = told.saga_began if told.told and path.partition(".")[0] == "1" else 0
        if undo and not (durable or saga_began or attempt.within or self.last_pivot or self._added):
            return None
        added = tuple(self._added)
        self._added.clear()
        return About(
            undo=undo,
            durable=durable,
            within=attempt.within,
            pivot=self.last_pivot,
            added=added,
            began=told.now() if durable else 0,
            saga_began=saga_began,
        )

    def begin(self, name: str, attempt: Attempt) -> None:
        """Note a step in flight; call `end` when it is over, whatever came of it.

        Raises:
            MisuseError: Another one is in flight: they would not replay in the same order.
        """
        if self._in_flight is not None:
            refusal = MisuseError(
                f"{attempt.where(f'step {name!r}')} was started while step {self._in_flight!r} is "
                "in flight. Steps in tasks of their own or in asyncio.gather do not replay in the "
                "same order. Await one after the other, or use saga.gather(...)."
            )
            if not self.prefix:  # In a branch the scheduler sees to it that it is told.
                attempt.journal.refuse(refusal)
            raise refusal
        self._in_flight = name

    def end(self) -> None:
        """Note that the step in flight is over."""
        self._in_flight = None

    @property
    def in_flight(self) -> str | None:
        """The step that is in flight, if any."""
        return self._in_flight
