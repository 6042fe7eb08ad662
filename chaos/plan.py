"""What one saga does, as plain data: the input of the sagas, and what the judge goes by.

A saga moves money in legs: a withdrawal and a deposit of the same amount. So whatever it is made
of, the amounts of all that stands in the end are zero in sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

__all__ = [
    "Branches",
    "Call",
    "Failing",
    "Kind",
    "Line",
    "Move",
    "Part",
    "Pivot",
    "Plan",
    "Savepoint",
    "block_holds",
    "moves",
    "outcome_of",
    "standing",
]

Kind: TypeAlias = Literal["plain", "threaded", "durable"]
"""How a step is made."""

Failing: TypeAlias = Literal["terminal", "permanent", "wrapped", "group", "mapped", "exhausted"]
"""How a step fails for good. ``exhausted``: by ordinary errors, until its attempts are used up."""


class Move(msgspec.Struct, frozen=True, kw_only=True, tag="move"):
    """One step: so much is added to one account. Times are in milliseconds.

    Attributes:
        path: Which one in its saga; ``"2.1"`` is the first part of the second part.
        account: Whose balance it changes.
        amount: What is added to it; a withdrawal is negative.
        kind: How its step is made. A threaded action is a plain function, which nothing can stop.
        strict: Its compensation is registered once it has succeeded.
        slow: How long it takes before its effect.
        linger: How long it takes after its effect is committed.
        hiccups: Ordinary errors of the action before it works.
        fails: How it fails for good, if it does.
        late: It fails after its effect.
        undo_slow: How long its compensation takes before it has an effect.
        undo_hiccups: Ordinary errors of the compensation before it works.
        undo_fails: Its compensation fails for good, with no effect.
    """

    path: str
    account: int
    amount: int
    kind: Kind = "plain"
    strict: bool = False
    slow: int = 0
    linger: int = 0
    hiccups: int = 0
    fails: Failing | None = None
    late: bool = False
    undo_slow: int = 0
    undo_hiccups: int = 0
    undo_fails: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True, tag="line"):
    """Parts, one after the other."""

    path: str
    parts: list[Part]


class Branches(msgspec.Struct, frozen=True, kw_only=True, tag="branches"):
    """Lines side by side: ``saga.gather``."""

    path: str
    arms: list[Line]


class Savepoint(msgspec.Struct, frozen=True, kw_only=True, tag="savepoint"):
    """A block that is undone alone if it fails; then another line takes its place.

    Attributes:
        path: Which one in its saga.
        block: What stands in the savepoint.
        gives_up: The block ends in a terminal error of its own.
        instead: What is done if the block failed.
    """

    path: str
    block: Line
    gives_up: bool
    instead: Line


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """A durable step that has another saga do a line, and has it reversed to undo it."""

    path: str
    body: Line


class Pivot(msgspec.Struct, frozen=True, kw_only=True, tag="pivot"):
    """The point of no return. It stands in a plan's own line only, between two legs."""

    path: str


Part: TypeAlias = Move | Line | Branches | Savepoint | Call | Pivot


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One saga.

    Attributes:
        saga: Its name in the database.
        body: What it does.
        gives_up: Its body ends in a terminal error, after all steps.
        in_time: It has a deadline.
        cancels: Milliseconds after it was sent at which its caller cancels it.
    """

    saga: str
    body: Line
    gives_up: bool = False
    in_time: bool = False
    cancels: list[int] = []

    @property
    def disturbed(self) -> bool:
        """Whether it may be ended from outside, so that its plan does not say how it ends."""
        return self.in_time or bool(self.cancels)


def moves(part: Part) -> Iterator[Move]:
    """All steps in a part, those that may take the place of others included."""
    match part:
        case Move():
            yield part
        case Line(parts=parts):
            for one in parts:
                yield from moves(one)
        case Branches(arms=arms):
            for arm in arms:
                yield from moves(arm)
        case Savepoint(block=block, instead=instead):
            yield from moves(block)
            yield from moves(instead)
        case Call(body=body):
            yield from moves(body)
        case Pivot():
            pass


def outcome_of(part: Part) -> bool:
    """Whether a part succeeds, if nothing disturbs it."""
    match part:
        case Move():
            return part.fails is None
        case Line(parts=parts):
            return all(map(outcome_of, parts))
        case Branches(arms=arms):
            return all(map(outcome_of, arms))
        case Savepoint():
            return block_holds(part) or outcome_of(part.instead)
        case Call(body=body):
            return outcome_of(body)
        case Pivot():
            return True


def standing(part: Part) -> Iterator[Move]:
    """The steps whose effects stand once a part has succeeded."""
    match part:
        case Line(parts=parts):
            for one in parts:
                yield from standing(one)
        case Branches(arms=arms):
            for arm in arms:
                yield from standing(arm)
        case Savepoint():
            yield from standing(part.block if block_holds(part) else part.instead)
        case Call(body=body):
            yield from standing(body)
        case Move() | Pivot():
            yield from moves(part)


def block_holds(savepoint: Savepoint) -> bool:
    """Whether a savepoint's block succeeds, if nothing disturbs it."""
    return not savepoint.gives_up and outcome_of(savepoint.block)
