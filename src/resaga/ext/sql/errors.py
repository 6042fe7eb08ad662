"""The error by which the barrier ends a step for good."""

from __future__ import annotations

from restate import TerminalError

__all__ = ["StepAbandoned"]


class StepAbandoned(TerminalError):
    """An action came after its compensation: it did not run, and never will.

    The compensation found no effect to undo and has blocked the action for good. This happens to
    an action that was given up and is still on its way: in a worker that was stopped, behind a
    slow connection, in a thread of an attempt that is over. It is terminal: Restate does not
    retry. Its status code is 409.
    """

    def __init__(self, name: str) -> None:
        """Name the step.

        Args:
            name: The step's name.
        """
        super().__init__(
            f"step {name!r} was abandoned: its compensation ran before it and has blocked it, so "
            "it had no effect",
            409,
        )
