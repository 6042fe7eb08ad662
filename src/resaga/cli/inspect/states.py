"""The state of a saga, in a word that an operator can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from resaga.errors import is_rollback_incomplete

__all__ = ["KILLED", "NOT_UNDONE", "STATES", "State", "end_state", "open_state"]

State: TypeAlias = Literal[
    "running",
    "waiting",
    "paused",
    "rolling back",
    "paused in rollback",
    "completed",
    "rolled back",
    "incomplete",
]
"""``waiting`` is for time, a signal or another handler, or for its turn; ``paused`` is for an
operator, before any rollback; ``incomplete`` has ended with something not undone."""

STATES: Final[tuple[State, ...]] = get_args(State)

KILLED: Final = "[409] killed"
"""What Restate gives a killed invocation as its failure."""

NOT_UNDONE: Final = "(rollback incomplete, not undone: "
"""What the message of a `RollbackIncomplete` holds."""

ACTIVE: Final = frozenset(("running", "backing-off"))
"""Statuses of an invocation whose code runs, or is about to be tried again."""


def end_state(
    failure: str | None, *, killed: bool, metadata: Mapping[str, str] | None = None
) -> State:
    """The state of a saga that has ended.

    Args:
        failure: What it failed with, if it did.
        killed: Whether it was killed, so that nothing was undone.
        metadata: Of its error, where that is known; else the message has to tell.
    """
    if failure is None:
        return "completed"
    if killed or is_rollback_incomplete(metadata):
        return "incomplete"
    if metadata is None and NOT_UNDONE in failure:
        return "incomplete"
    return "rolled back"


def open_state(status: str, *, in_rollback: bool, acting: bool, entries: int) -> State:
    """The state of a saga that has not ended.

    Args:
        status: The invocation's.
        in_rollback: Whether it is undoing what it did, for good.
        acting: Whether an action has begun and has no result.
        entries: How many entries its journal has; the first is its input.
    """
    if status == "paused":
        return "paused in rollback" if in_rollback else "paused"
    if in_rollback:
        return "rolling back"
    if status == "backing-off":
        return "running"
    if status in ACTIVE and (acting or entries <= 1):
        return "running"
    return "waiting"
