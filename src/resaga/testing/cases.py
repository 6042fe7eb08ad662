"""The cases of an exploration: each point of a saga, broken in each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from resaga.testing.controls import Recording
from resaga.testing.faults import ANY_STEP, Fault, cancel, error, fail, lose_worker

__all__ = ["COLUMNS", "EVERY_STEP", "Case", "End", "cases_of", "untouched"]

End: TypeAlias = Literal["completes", "fails", "cancelled", "undoes incompletely"]
"""How a saga has to end under a fault, if that strikes."""

EVERY_STEP = "every step"
"""The row of the case in which each step is replayed."""

COLUMNS: dict[str, str] = {
    "fails": "It fails for good, before its effect.",
    "fails late": "It fails for good, after its effect.",
    "error once": "It raises an ordinary error after its effect, and is fine when tried again.",
    "gives up": "Each attempt has its effect and raises an error, until the retries are used up.",
    "cancel before": "The saga is cancelled before it begins.",
    "cancel during": "The saga is cancelled while it is in flight, and then it has its effect.",
    "cancel after": "The saga is cancelled when its result is journaled.",
    "cancel twice": "The saga is cancelled while it is in flight, and twice in the rollback.",
    "lost before": "The worker is lost before its effect.",
    "lost after": "The worker is lost after its effect, before its result is journaled.",
    "lost, cancel": "The worker is lost after its effect, and the saga is cancelled meanwhile.",
    "replayed": "The worker is lost when its result is journaled, so that it is replayed.",
    "undo fails": "The saga is cancelled at its end, and the compensation fails for good.",
    "undo error": "The compensation raises an ordinary error after its effect, once.",
    "undo lost": "The worker is lost after the compensation's effect, which is made again.",
}
"""What each column of the report does to a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of a saga with a fault.

    Attributes:
        row: The point: a step's name, ``Name#2`` for its second call.
        column: What goes wrong there, one of `COLUMNS`.
        faults: The same, for the run.
        end: How the saga has to end.
        step: The step's name.
    """

    row: str
    column: str
    faults: tuple[Fault, ...]
    end: End
    step: str

    @property
    def name(self) -> str:
        """What ``explore(..., only=...)`` knows it by."""
        return f"{self.row}/{self.column}"


def untouched(number: int = 1) -> Case:
    """The case without a fault, of which the points are learnt."""
    return Case(row="untouched", column=str(number), faults=(), end="completes", step="")


def cases_of(recording: Recording) -> list[Case]:
    """All cases of a saga, learnt from an untouched run of it; the rows in its order."""
    calls: dict[str, int] = {}
    points: list[tuple[str, int, str]] = []
    for path, point in recording.points.items():
        calls[point.name] = calls.get(point.name, 0) + 1
        points.append((path, calls[point.name], point.name))
    completed = [e.path for e in recording.trace.events if e.what == "completed" and e.path]
    last = next(((name, call) for path, call, name in points if path == completed[-1]), None)
    cases: list[Case] = []
    for path, call, name in points:
        row = name if call == 1 else f"{name}#{call}"
        cases += [
            Case(row=row, column=column, faults=tuple(faults), end=end, step=name)
            for column, end, faults in _ways(recording, path, call, last)
        ]
    replays = [lose_worker(name, call=call, when="journaled") for _, call, name in points]
    cases.append(
        Case(row=EVERY_STEP, column="replayed", faults=tuple(replays), end="completes", step="")
    )
    return cases


_TWICE = replace(cancel(ANY_STEP, undo=True), times=2)
"""In the first two compensations that run, or in one of them if there is one."""


def _ways(
    recording: Recording, path: str, call: int, last: tuple[str, int] | None
) -> Sequence[tuple[str, End, Sequence[Fault]]]:
    point = recording.points[path]
    name = point.name
    ways: list[tuple[str, End, Sequence[Fault]]] = [
        ("fails", "fails", [fail(name, call=call)]),
        ("error once", "completes", [error(name, call=call, after_effect=True)]),
        ("cancel before", "cancelled", [cancel(name, call=call, when="before")]),
        ("cancel during", "cancelled", [cancel(name, call=call)]),
        ("cancel after", "cancelled", [cancel(name, call=call, when="after")]),
        ("cancel twice", "cancelled", [cancel(name, call=call), _TWICE]),
        ("lost before", "completes", [lose_worker(name, call=call, when="before")]),
        ("lost after", "completes", [lose_worker(name, call=call)]),
        ("lost, cancel", "cancelled", [cancel(name, call=call), lose_worker(name, call=call)]),
        ("replayed", "completes", [lose_worker(name, call=call, when="journaled")]),
    ]
    if not point.strict:
        ways.append(("fails late", "fails", [fail(name, call=call, after_effect=True)]))
    if point.bounded:
        faults = [error(name, call=call, times=None, after_effect=True)]
        ways.append(("gives up", "fails", faults))
    if point.undoable and last is not None:
        ending = cancel(last[0], call=last[1])
        undone: list[tuple[str, End, Fault]] = [
            ("undo fails", "undoes incompletely", fail(name, undo=True, call=call)),
            ("undo error", "cancelled", error(name, undo=True, call=call, after_effect=True)),
            ("undo lost", "cancelled", lose_worker(name, undo=True, call=call)),
        ]
        ways.extend((column, end, (ending, fault)) for column, end, fault in undone)
    order = list(COLUMNS)
    return sorted(ways, key=lambda way: order.index(way[0]))
