"""What a saga does, in which order: its steps, and what stands between them, as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard

from resaga.cli.check.findings import Place
from resaga.step import SagaStep

__all__ = [
    "AnyStep",
    "Branches",
    "Choice",
    "Fails",
    "Flow",
    "Inline",
    "Leave",
    "Loop",
    "Pivot",
    "Seq",
    "Step",
    "Try",
    "is_eventful",
    "is_step",
    "steps_in",
]

AnyStep: TypeAlias = SagaStep[Any, Any, Any, Any]


def is_step(value: object) -> TypeGuard[AnyStep]:
    """Whether it is a step; nothing of the value's own is asked."""
    return issubclass(type(value), SagaStep)


@dataclass(frozen=True, slots=True)
class Step:
    """A step is run; one of these."""

    steps: tuple[AnyStep, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Pivot:
    """The point of no return."""


@dataclass(frozen=True, slots=True)
class Fails:
    """Something else that may end the saga in failure; ``always`` if it does."""

    what: str
    place: Place
    always: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """The code goes on elsewhere; ``raise``: with an error of which nothing is known."""

    how: Literal["return", "break", "continue", "raise"]


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    parts: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these."""

    arms: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """Any number of times; ``endless`` if only a ``break`` ends it."""

    body: Flow
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Branches:
    """Side by side; a `Loop` among them stands for any number of branches."""

    arms: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Try:
    """The handlers follow a body that has failed, ``orelse`` one that has not."""

    body: Flow
    handlers: tuple[Flow, ...]
    orelse: Flow
    final: Flow


@dataclass(frozen=True, slots=True)
class Inline:
    """The body of a function that is called: a return in it goes on after the call."""

    body: Flow


Flow: TypeAlias = Step | Pivot | Fails | Leave | Seq | Choice | Loop | Branches | Try | Inline


def steps_in(flow: Flow) -> Iterator[Step]:
    """All steps that may be run."""
    if isinstance(flow, Step):
        yield flow
    for part in _parts(flow):
        yield from steps_in(part)


def is_eventful(flow: Flow) -> bool:
    """Whether anything in it matters to a rollback."""
    return isinstance(flow, Step | Pivot | Fails) or any(map(is_eventful, _parts(flow)))


def _parts(flow: Flow) -> tuple[Flow, ...]:
    match flow:
        case Seq(parts=parts):
            return parts
        case Choice(arms=arms) | Branches(arms=arms):
            return arms
        case Loop(body=body) | Inline(body=body):
            return (body,)
        case Try(body=body, handlers=handlers, orelse=orelse, final=final):
            return (body, *handlers, orelse, final)
        case _:
            return ()
