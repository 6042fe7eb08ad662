"""The trace of one run: what happened in which order, as told by observers and the interceptor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from resaga import Outcome

__all__ = ["Event", "Subject", "Trace", "What", "in_order"]

Subject: TypeAlias = Literal["saga", "step", "compensation", "attempt", "cancel", "worker", "pivot"]
What: TypeAlias = Literal["called", "started", "ended", "completed", "failed", "sent", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes:
        subject: What it happened to: the ``saga``, a ``step``, a ``compensation``; or an
            ``attempt`` began, a ``cancel`` was sent, the ``worker`` was lost, a ``pivot`` passed.
        what: Steps and compensations are ``called`` by the body and by the rollback; their code
            is ``started`` and ``ended``; they are ``completed`` or ``failed``.
        step: Name of the step.
        path: Which call of a step in the saga: ``"3"``, in branches ``"3.1.2"``.
        attempt: In which attempt, the first is 1.
        replayed: The result came from the journal, and nothing ran.
        outcome: How the step ended.
        error: What it failed with.
        retried: The error is an ordinary one: Restate tries again.
        undoable: Whether the step has a compensation.
    """

    subject: Subject
    what: What
    attempt: int
    step: str = ""
    path: str = ""
    replayed: bool = False
    outcome: Outcome | None = None
    error: str | None = None
    retried: bool = False
    undoable: bool = True

    @property
    def label(self) -> str:
        """The step's name, with ``undo`` before it for its compensation."""
        return f"undo {self.step}" if self.subject == "compensation" else self.step


class Trace:
    """What happened in a run, in order.

    ::

        assert run.trace.completed == ("ReserveStock", "ChargePayment")
        assert run.trace.compensated == ("ChargePayment", "ReserveStock")
        print(run.trace)

    Attributes:
        events: All of it.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: list[Event] = list(events)

    @property
    def completed(self) -> tuple[str, ...]:
        """The steps that completed, in that order; each call once, whatever was replayed."""
        return tuple(e.step for e in self.once("step", "completed"))

    @property
    def failed(self) -> tuple[str, ...]:
        """The steps that failed for good, or whose outcome is unknown."""
        return tuple(e.step for e in self.once("step", "failed") if not e.retried)

    @property
    def compensated(self) -> tuple[str, ...]:
        """The steps whose compensation succeeded, in that order."""
        return tuple(e.step for e in self.once("compensation", "completed"))

    @property
    def left_undone(self) -> tuple[str, ...]:
        """The steps whose compensation failed for good."""
        return tuple(e.step for e in self.once("compensation", "failed") if not e.retried)

    @property
    def order(self) -> tuple[str, ...]:
        """Steps and compensations as they completed: ``("Reserve", "Charge", "undo Reserve")``."""
        return tuple(e.label for e in self._first(self.events) if e.what == "completed" and e.step)

    @property
    def attempts(self) -> int:
        """How many attempts there were; one that had to be made again is one more."""
        return sum(e.subject == "attempt" for e in self.events)

    @property
    def replayed(self) -> tuple[str, ...]:
        """What was taken from the journal and not run again, once for each time."""
        return tuple(e.label for e in self.events if e.replayed)

    def started(self, step: str, *, undo: bool = False) -> int:
        """How many times the code of a step, or of its compensation, was begun."""
        subject = "compensation" if undo else "step"
        return sum(
            e.subject == subject and e.what == "started" and e.step == step for e in self.events
        )

    def once(self, subject: Subject, what: What) -> list[Event]:
        """The events of a kind, each call of a step once."""
        return [e for e in self._first(self.events) if (e.subject, e.what) == (subject, what)]

    @staticmethod
    def _first(events: Sequence[Event]) -> list[Event]:
        seen: set[tuple[str, str, str]] = set()
        first: list[Event] = []
        for event in events:
            key = (event.subject, event.what, event.path)
            if event.retried or key in seen:
                continue
            seen.add(key)
            first.append(event)
        return first

    def __len__(self) -> int:
        return len(self.events)

    def __str__(self) -> str:
        return "\n".join(_lines(self.events))

    def __repr__(self) -> str:
        return f"<Trace {' → '.join(self.order) or 'empty'}>"


def in_order(earlier: str, later: str) -> bool:
    """Whether the second path is of a call that is made after the first one's.

    Calls in branches that run side by side have no order. Of a path, every other number is that
    of a branch.
    """
    one, two = earlier.split("."), later.split(".")
    for place, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            return place % 2 == 0 and int(a) < int(b)
    return False


_MARKS = {"completed": "✔", "failed": "✘", "started": "▸"}


def _lines(events: Sequence[Event]) -> Iterable[str]:
    width = max((len(e.label) for e in events), default=0)
    for event in events:
        if event.subject == "attempt":
            yield f"attempt {event.attempt}"
            continue
        told = _told(event)
        if told is None:
            continue
        depth = event.path.count(".") // 2
        yield f"  {'│ ' * depth}{_mark(event)} {event.label:<{width}}  {told}".rstrip()


def _mark(event: Event) -> str:
    if event.subject in ("cancel", "worker"):
        return "⚡"
    if event.subject == "pivot":
        return "◆"
    if event.retried:
        return "↻"
    if event.subject == "compensation" and event.what == "completed":
        return "↩"
    return _MARKS.get(event.what, "·")


def _told(event: Event) -> str | None:
    """What is said of an event; ``None`` for what says itself by what follows it."""
    error = f": {event.error}" if event.error else ""
    match event.subject, event.what:
        case "cancel", _:
            return "the saga is cancelled"
        case "worker", _:
            return "the worker is lost" + error
        case "pivot", _:
            return "the point of no return"
        case "saga", "started":
            return None
        case "saga", what:
            return f"the saga {what}{error}"
        case _, "called" | "ended":
            return None
        case _, "started":
            return "started"
        case _, "failed":
            said = "tried again" if event.retried else "failed"
            unknown = " (outcome unknown)" if event.outcome == "unknown" else ""
            return f"{said}{unknown}" + (", from the journal" if event.replayed else "") + error
        case "compensation", _:
            return "undone" + (", from the journal" if event.replayed else "")
        case _:
            return "completed" + (", from the journal" if event.replayed else "")
