"""One line of execution of a saga: its body, or one branch of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from resaga.attempt import Attempt
from resaga.compensation import Undo
from resaga.errors import MisuseError
from resaga.stack import Frame

__all__ = ["Line"]


class Line:
    """One line of execution of a saga: its body, or one branch of it.

    It numbers the calls of steps, so that keys are unique and the same on every replay (R13),
    and sees to it that there is one step at a time (R21).
    """

    def __init__(self, prefix: str, frame: Frame[Undo]) -> None:
        self.frame = frame
        self.prefix = prefix
        self._calls = 0
        self._in_flight: str | None = None

    def next_path(self) -> str:
        """Which call of a step this is: ``"3"``, in a branch ``"3.1.2"``."""
        self._calls += 1
        return f"{self.prefix}{self._calls}"

    @contextmanager
    def one_at_a_time(self, name: str, attempt: Attempt) -> Generator[None]:
        """Refuse a second step beside one in flight: it would not replay in the same order."""
        if self._in_flight is not None:
            raise MisuseError(
                f"{attempt.where(f'step {name!r}')} was started while step {self._in_flight!r} is "
                "in flight. Steps in tasks of their own or in asyncio.gather do not replay in the "
                "same order. Await one after the other, or use saga.gather(...)."
            )
        self._in_flight = name
        try:
            yield
        finally:
            self._in_flight = None

    @property
    def in_flight(self) -> str | None:
        """The step that is in flight, if any."""
        return self._in_flight
