"""The seam for tools: code around each step, each compensation, and the user's code in them.

Production code has no test hook beside this and the observers. A definition's copy carries it
(`SagaWorkflow.intercepted`); the definition itself is left alone, and without an interceptor a
saga runs as if this module did not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from resaga.services import SagaRequest

__all__ = ["Intercept", "Interceptor", "Point", "PointKind"]

T = TypeVar("T")

PointKind: TypeAlias = Literal["step", "action", "compensation", "undo"]
"""What runs at a `Point`:

- ``step``: the body's call of a step, on every attempt, whether the journal has its result or not;
- ``action``: the user's code in it, which a replay of a plain step does not run;
- ``compensation``: one entry of a rollback, on every attempt;
- ``undo``: the user's code in it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place in a saga that an interceptor stands around.

    Attributes:
        kind: What runs here.
        name: The step's name.
        path: Which call of a step in the saga this is: ``"3"``, in branches ``"3.1.2"``.
        saga_id: The invocation id.
        input: The step's input.
        undoable: Whether the step has a compensation.
        strict: Whether that is registered only when the step has completed.
        durable: Whether the user's code is durable code.
        bounded: Whether the retries of the user's code come to an end.
    """

    kind: PointKind
    name: str
    path: str
    saga_id: str
    input: object
    undoable: bool
    strict: bool
    durable: bool
    bounded: bool


class Interceptor(Protocol):
    """What one attempt of a saga is run through."""

    async def around(self, point: Point, proceed: Callable[[], Awaitable[T]]) -> T:
        """Run what is at a point, or something in its stead; give what it gave.

        At an ``action`` and an ``undo`` of plain steps it may wait for anything. Elsewhere it
        stands in durable code: what it waits for there, the journal does not know.
        """
        ...

    def pivoted(self) -> None:
        """The body has passed its point of no return."""
        ...


Intercept: TypeAlias = Callable[[SagaRequest[Any]], Interceptor]
"""Gives the interceptor of an attempt; asked once for each, before its body begins."""
