"""What must hold in every run of a saga, whatever goes wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from resaga.testing.cases import Case
from resaga.testing.controls import Recording
from resaga.testing.running import SagaRun
from resaga.testing.trace import Event, in_order

__all__ = ["Finding", "as_it_went", "judge", "judge_unended", "struck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that a run has broken.

    Attributes:
        rule: The rule, in a word or two.
        message: What happened, and what should have.
    """

    rule: str
    message: str


def struck(case: Case, recording: Recording) -> bool:
    """Whether the faults of a case have struck; those of one that did not say nothing."""
    return all(recording.fired[number] for number in range(len(case.faults)))


def as_it_went(case: Case, run: SagaRun[object]) -> Case:
    """The case with the end that its run has to have, which hangs on the step's own policy.

    One error is not fine when tried again if the step has a single attempt.
    """
    gave_up = case.column == "error once" and any(
        (e.subject, e.what, e.step, e.outcome) == ("step", "failed", case.step, "unknown")
        and not e.retried
        for e in run.trace.events
    )
    return replace(case, end="fails") if gave_up else case


def judge(case: Case, run: SagaRun[object], *, recovers: Iterable[str]) -> list[Finding]:
    """The rules that a run has broken."""
    events = run.trace.events
    findings = [
        *_end(case, run, recovers=set(recovers)),
        *_undone(run),
        *_failed_undo(case, run),
        *_order(events),
        *_drained(events),
        *_lost(events),
        *_nothing_after_a_failure(case, run),
        *_replay(run.recording),
    ]
    return [Finding(rule=rule, message=message) for rule, message in findings]


def judge_unended(why: str, recording: Recording) -> list[Finding]:
    """The rules that a run has broken which has not ended."""
    replay = [Finding(rule=rule, message=message) for rule, message in _replay(recording)]
    return [Finding(rule="ends", message=why), *replay]


_Finding = tuple[str, str]


def _end(case: Case, run: SagaRun[object], *, recovers: set[str]) -> Iterator[_Finding]:
    error = run.error
    told = "it completed" if error is None else f"its caller got [{error.status_code}] {error}"
    match case.end:
        case "completes" if error is not None:
            yield "completes", f"every step was fine in the end, and {told}"
        case "fails" if case.step in recovers:
            return
        case "fails" if error is None:
            mend = f"if the saga is to go on without it, say so: recovers=[{case.step!r}]"
            yield "the error", f"step {case.step} failed for good, and {told}; {mend}"
        case "fails":
            expected = case.faults[0].error
            # What used up its retries is told in the SDK's words.
            told_as_is = case.column not in ("gives up", "error once")
            if error is not None and told_as_is and str(expected) not in str(error):
                yield "the error", f"step {case.step} failed with '{expected}', and {told}"
        case "cancelled" if error is not None and error.status_code != 409:
            yield "the error", f"it was cancelled, and {told}, not [409]"
        case "undoes incompletely" if not run.rollback_incomplete:
            yield "the error", f"a compensation failed for good, and {told}: nobody is told of it"
        case _:
            return


def _undone(run: SagaRun[object]) -> Iterator[_Finding]:
    if run.error is None:
        return
    events = run.trace.events
    pivot = next((n for n, e in enumerate(events) if e.subject == "pivot"), -1)
    undone = {e.path for e in events if (e.subject, e.what) == ("compensation", "completed")}
    failed = {e.path for e in run.trace.once("compensation", "failed") if not e.retried}
    for path, point in run.recording.points.items():
        of_it = [(n, e) for n, e in enumerate(events) if e.path == path and e.subject == "step"]
        began = any(e.what == "started" for _, e in of_it)
        completed = [e for _, e in of_it if e.what == "completed"]
        before_pivot = bool(of_it) and of_it[0][0] < pivot
        due = completed or (began and not point.strict)
        if point.undoable and due and not before_pivot and path not in undone | failed:
            how = "completed" if completed else "began"
            yield "undone", f"step {point.name} {how}, the saga failed, and it is not undone"
        if path in undone and not of_it:
            yield "undone", f"step {point.name} is undone, and never began"
        if path in undone and point.strict and not completed:
            yield "undone", f"strict step {point.name} is undone, and never completed"
    for attempt in range(1, run.recording.attempts + 1):
        told = [
            e.path
            for e in events
            if e.attempt == attempt and (e.subject, e.what) == ("compensation", "completed")
        ]
        for path in {path for path in told if told.count(path) > 1}:
            yield "undone once", f"the compensation of call {path} completed twice"


def _failed_undo(case: Case, run: SagaRun[object]) -> Iterator[_Finding]:
    if case.end == "undoes incompletely":
        return
    for event in run.trace.once("compensation", "failed"):
        if not event.retried:
            yield "undone", f"the compensation of {event.step} failed for good: {event.error}"


def _order(events: Sequence[Event]) -> Iterator[_Finding]:
    """Newest first, of what was there when the older one was undone (R9, R18)."""
    called: dict[str, int] = {}
    undone: dict[str, tuple[int, str]] = {}
    for n, event in enumerate(events):
        if (event.subject, event.what) == ("step", "called"):
            called.setdefault(event.path, n)
        if (event.subject, event.what) == ("compensation", "called"):
            undone.setdefault(event.path, (n, event.step))
    for older, (n, name) in undone.items():
        for newer, (m, other) in undone.items():
            if in_order(older, newer) and n < m and called.get(newer, m) < n:
                yield "order", f"{name} was undone before {other}, which came after it"


def _drained(events: Sequence[Event]) -> Iterator[_Finding]:
    """No compensation begins while an action is in flight (R6)."""
    in_flight: dict[str, str] = {}
    for event in events:
        if event.subject == "step" and event.what == "started":
            in_flight[event.path] = event.step
        elif event.subject == "step" and event.what == "ended":
            in_flight.pop(event.path, None)
        elif (event.subject, event.what) == ("compensation", "started"):
            beside = [s for p, s in in_flight.items() if not _apart(p, event.path)]
            if beside:
                yield "drained", f"{event.label} began while {', '.join(beside)} was in flight"


def _lost(events: Sequence[Event]) -> Iterator[_Finding]:
    """What is undone in an attempt that was over is undone for good, or not at all."""
    lost: set[int] = set()
    for n, event in enumerate(events):
        if event.subject == "worker":
            lost.add(event.attempt)
        elif (event.subject, event.what) == ("compensation", "started") and event.attempt in lost:
            later = (e for e in events[n:] if e.attempt > event.attempt)
            if not any(e.subject == "compensation" and e.path == event.path for e in later):
                mend = "does the body make another error of every Exception?"
                yield "undone", f"{event.label} began in an attempt that was over; {mend}"


def _apart(one: str, two: str) -> bool:
    """Whether two calls are in branches beside each other: a savepoint in one leaves the other."""
    return one != two and not (in_order(one, two) or in_order(two, one))


def _nothing_after_a_failure(case: Case, run: SagaRun[object]) -> Iterator[_Finding]:
    if run.error is None or case.end != "fails" or str(case.faults[0].error) not in str(run.error):
        return
    failed: str | None = None
    for event in run.trace.events:
        if event.subject != "step":
            continue
        if event.what == "failed" and not event.retried and event.step == case.step:
            failed = failed or event.path
        elif event.what == "started" and failed is not None and in_order(failed, event.path):
            yield "no step after", f"{event.step} began after {case.step} had failed for good"


def _replay(recording: Recording) -> Iterator[_Finding]:
    """The body does the same on every attempt."""
    for path, seen in recording.inputs.items():
        name, value = seen[0]
        for other_name, other in seen[1:]:
            if other_name != name:
                yield (
                    "replay",
                    f"call {path} was {name} in one attempt and {other_name} in another",
                )
                break
            if not _same(value, other):
                yield (
                    "replay",
                    f"step {name} got other input in another attempt; take it from a step",
                )
                break


def _same(one: object, two: object) -> bool:
    return one == two or repr(one) == repr(two)
