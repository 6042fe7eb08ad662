"""From rows of the server's tables to the model of a saga. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from restate import TerminalError

from resaga.cli.inspect.model import Entry, Failed, Kind, Nest, Outcome, SagaView, Summary
from resaga.cli.inspect.paths import (
    infer_nests,
    is_later,
    is_passed_over,
    match_undo,
    name_paths,
)
from resaga.cli.inspect.queries import EntryRow, EventRow, InvocationRow, ProgressRow
from resaga.cli.inspect.states import KILLED, State, end_state, open_state
from resaga.cli.inspect.wire import (
    Body,
    Result,
    StepRecord,
    body_of,
    event_error,
    input_of,
    is_json,
    record_of,
    result_of,
    text_of,
)
from resaga.errors import RollbackIncomplete, received
from resaga.record import About

__all__ = ["UNDO", "summarize", "view"]

UNDO = "compensate:"
"""What the names of compensations begin with in a journal (R23)."""

CANCEL_SIGNAL = 1

_KINDS: dict[str, Kind] = {
    "Sleep": "sleep",
    "Call": "call",
    "OneWayCall": "send",
    "AttachInvocation": "attach",
}

_WORDS = {
    "GetEagerState": "get state",
    "GetState": "get state",
    "SetState": "set state",
    "ClearState": "clear state",
    "GetPromise": "wait for promise",
    "PeekPromise": "look at promise",
    "CompletePromise": "complete promise",
}
"""What is said of commands that have a key."""

_WITHOUT_RESULT = frozenset(("SetState", "ClearState", "ClearAllState", "CompleteAwakeable"))


def summarize(
    row: InvocationRow,
    progress: ProgressRow | None = None,
    *,
    killed: bool = False,
    pause: str | None = None,
) -> Summary:
    """What a list says of an invocation.

    Args:
        row: The invocation.
        progress: How far it is, if it has not ended.
        killed: Whether it was killed.
        pause: The event of its last pause, which alone tells why while it is paused.
    """
    if row.status == "completed":
        failure = row.completion_failure
        state = end_state(failure, killed=killed)
        return _summary(row, state, error=failure)
    if progress is None:
        state = open_state(row.status, in_rollback=False, acting=False, entries=0)
    else:
        state = open_state(
            row.status,
            in_rollback=progress.last_undo > progress.last_step,
            acting=progress.begun > progress.ended,
            entries=progress.entries,
        )
    why = None if pause is None else event_error(pause)
    return _summary(row, state, error=last_failure(row) if why is None else why[0])


def view(
    row: InvocationRow,
    rows: Sequence[EntryRow],
    events: Sequence[EventRow],
    *,
    is_saga: bool,
    payloads: bool,
    now: datetime,
) -> SagaView:
    """The whole of one saga.

    Args:
        row: The invocation.
        rows: Its journal.
        events: What happened beside it.
        is_saga: Whether its handler is a saga.
        payloads: Whether what it took and gave is kept.
        now: When this was read.
    """
    reading = _Reading(payloads=payloads)
    for each in rows:
        reading.take(each)
    entries = reading.entries
    _give_errors(reading, row, events)
    name_paths(entries)
    infer_nests(entries)
    undos = [entry for entry in entries if entry.kind == "undo"]
    for undo in undos:
        step = match_undo(undo, reading.steps)
        if step is not None:
            step.undone_by = undo
            undo.path = step.path
    for step in reading.steps:
        step.passed_over = is_passed_over(step, undos, reading.steps) or (
            int((step.path or "0").partition(".")[0]) in range(1, reading.pivot + 1)
        )
    ended = row.status == "completed"
    _settle(reading, undos, ended=ended)
    killed = ended and row.completion_failure == KILLED and reading.end is None and bool(rows)
    failure = reading.failure
    if failure is None and row.completion_failure is not None:
        failure = Failed(message=row.completion_failure, at=row.completed_at)
    if ended:
        metadata = None if reading.end is None else reading.end.metadata
        state = end_state(row.completion_failure, killed=killed, metadata=metadata)
    else:
        state = open_state(
            row.status,
            in_rollback=reading.in_rollback,
            acting=any(entry.outcome == "in flight" for entry in entries),
            entries=len(rows),
        )
    return SagaView(
        summary=_summary(row, state, error=row.completion_failure or last_failure(row)),
        is_saga=is_saga,
        status=row.status,
        entries=entries,
        failure=failure,
        errors=reading.errors,
        killed=killed,
        cancelled_at=reading.cancelled_at,
        deadline=reading.deadline,
        has_journal=bool(rows),
        restarted_from=row.restarted_from,
        parent_id=row.invoked_by_id,
        now=now,
        payloads=reading.payloads,
    )


def last_failure(row: InvocationRow) -> str | None:
    """What the last attempt failed with, without the traceback that Restate keeps with it."""
    if row.last_failure is None:
        return None
    return row.last_failure.partition("Traceback (most recent call last)")[0].rstrip()


def _summary(row: InvocationRow, state: State, *, error: str | None) -> Summary:
    parts = row.target.split("/")
    name = "/".join(parts[:-1]) if parts[-1] == "run" and len(parts) > 1 else row.target
    trying = row.status in ("running", "backing-off")
    return Summary(
        id=row.id,
        workflow=name,
        state=state,
        created=row.created_at,
        ended=row.completed_at if row.status == "completed" else None,
        attempts=row.retry_count if trying else None,
        next_attempt=row.next_retry_at if row.status == "backing-off" else None,
        error=error,
    )


def _settle(reading: _Reading, undos: Sequence[Entry], *, ended: bool) -> None:
    """What the journal does not say itself: how durable code ended, and what has no result."""
    over = ended and reading.end is not None
    failures = {} if reading.end is None else _failures(reading.end)
    for entry in reading.entries:
        if ended and entry.outcome in ("in flight", "waiting"):
            entry.outcome = "dropped"
        if entry.outcome != "begun":
            continue
        if entry.kind == "step":
            succeeded = over and reading.failure is None
            if succeeded or any(is_later(step, entry) for step in reading.steps):
                entry.outcome = "completed"
        elif over and entry.name in failures:
            entry.outcome = "failed"
            entry.failure = Failed(message=failures[entry.name], at=entry.ended)
        elif over or any(is_later(entry, u) and u.index > entry.index for u in undos):
            entry.outcome = "completed"


def _failures(end: Result) -> dict[str, str]:
    """The compensations that failed for good, by the error that the saga ended with."""
    error = received(TerminalError(end.message or "", end.code or 500, end.metadata))
    if not isinstance(error, RollbackIncomplete):
        return {}
    return {failure.name: failure.message for failure in error.failures}


class _Reading:
    """A journal, read entry by entry."""

    def __init__(self, *, payloads: bool) -> None:
        self.entries: list[Entry] = []
        self.errors: list[Failed] = []
        self.payloads: dict[str, object] = {}
        self.end: Result | None = None
        self.failure: Failed | None = None
        self.cancelled_at: datetime | None = None
        self.deadline: datetime | None = None
        self.pivot = 0
        self._keeps = payloads
        self._waiting: dict[int, Entry] = {}
        self._commands = 0
        self.by_command: dict[int, Entry] = {}

    @property
    def steps(self) -> list[Entry]:
        """The steps so far, and the compensations that were added without one."""
        return [entry for entry in self.entries if entry.kind in ("step", "added")]

    @property
    def in_rollback(self) -> bool:
        """Whether what came last is undoing: steps after it mean that a savepoint was undone."""
        last = next((e for e in reversed(self.entries) if e.kind in ("step", "undo")), None)
        if last is None:
            return False
        if last.kind == "undo":
            return True
        # An action of a durable compensation's own looks like a step until it has its result.
        before = [e for e in self.entries if e.kind == "undo" and e.index < last.index]
        return bool(before) and before[-1].durable and last.outcome == "in flight"

    def take(self, row: EntryRow) -> None:
        """Read one entry."""
        lite = row.lite or "{}"
        if row.entry_type.startswith("Notification"):
            result = result_of(lite, row.json)
            if result is not None:
                self._take_result(result, row)
            return
        body = body_of(lite)
        if body is None:
            return
        self._commands += 1
        match body.kind:
            case "Input":
                if self._keeps and row.json is not None:
                    self._keep_input(row.json)
            case "Output":
                self._take_end(row)
            case "Sleep" if body.name == "deadline" and self.deadline is None:
                self.deadline = _from_milliseconds(body.wake_up)
            case _:
                self._begin(body, row)

    def _begin(self, body: Body, row: EntryRow) -> None:
        if body.kind == "AttachInvocation" and body.completion is not None:
            sent = self._sent_to(body.child_id)
            if sent is not None:
                # Send and attach are how a compensation calls (R8): one thing, to a reader.
                sent.kind, sent.outcome = "call", "waiting"
                self._waiting[body.completion] = sent
                return
        kind = _KINDS.get(body.kind, "other")
        name = body.name or body.kind
        if body.kind == "Run":
            kind = "undo" if body.name.startswith(UNDO) else "step"
            name = body.name.removeprefix(UNDO)
        elif kind in ("call", "send"):
            name = body.target or name
        elif body.key:
            undoes = (row.name or "").startswith(UNDO)  # By `saga.state`.
            name = f"{'restore state' if undoes else _WORDS.get(body.kind, body.kind)} {body.key}"
        outcome: Outcome = "in flight" if body.kind == "Run" else "waiting"
        if body.kind in _WITHOUT_RESULT or body.completion is None or kind == "send":
            outcome = "completed"
        entry = Entry(
            index=row.index,
            kind=kind,
            name=name,
            started=row.appended_at,
            outcome=outcome,
            target=body.target,
            child_id=body.child_id,
            until=_from_milliseconds(body.wake_up),
        )
        self.entries.append(entry)
        # Errors name a command by its number, with the input as the first.
        self.by_command[self._commands - 1] = entry
        if body.completion is not None:
            self._waiting[body.completion] = entry

    def _sent_to(self, child_id: str | None) -> Entry | None:
        sent = (e for e in reversed(self.entries) if e.kind == "send" and e.child_id == child_id)
        return next(sent, None)

    def _take_result(self, result: Result, row: EntryRow) -> None:
        if result.kind == "Signal":
            if result.signal == CANCEL_SIGNAL and self.cancelled_at is None:
                self.cancelled_at = row.appended_at
            return
        entry = self._waiting.pop(result.completion or -1, None)
        if entry is None or result.kind == "CallInvocationId":
            return
        entry.ended = row.appended_at
        if result.failed:
            # Of a step: its retries are exhausted, so its effect may have happened (R12).
            entry.outcome = "unknown" if entry.kind == "step" else "failed"
            entry.failure = Failed(
                message=result.message or "", code=result.code, at=row.appended_at
            )
            return
        entry.outcome = "completed"
        value = result.value
        if entry.kind in ("step", "undo") and value is not None:
            self._take_record(entry, record_of(value), value)
        elif self._keeps and value:
            entry.payloads["result"] = text_of(value)

    def _take_record(self, entry: Entry, record: StepRecord | None, value: bytes) -> None:
        if record is None:
            if value and entry.kind == "step":
                # A `ctx.run` of the user's own; or all values are encrypted.
                entry.kind = "action" if is_json(value) else "step"
            if self._keeps and value:
                entry.payloads["result"] = text_of(value)
            return
        if entry.kind == "undo":
            entry.durable = True
            entry.outcome = "begun"
            return
        entry.path = record.path
        self._take_about(entry, record.about)
        if self._keeps:
            entry.payloads.update(record.payloads())
        if record.failure is not None:
            lost = record.failure.metadata.get("resaga.outcome")
            entry.outcome = "unknown" if lost else "failed"
            entry.failure = Failed(
                message=record.failure.message, code=record.failure.code, at=entry.ended
            )

    def _take_about(self, entry: Entry, about: About) -> None:
        entry.undoable = about.undo
        entry.within = tuple(Nest(name, path) for name, path in about.within)
        entry.durable = about.durable
        if about.durable:
            entry.outcome = "begun"
        self.pivot = max(self.pivot, about.pivot)
        place = self.entries.index(entry)
        self.entries[place:place] = [
            Entry(
                index=entry.index,
                kind="added",
                name=name,
                started=None,
                outcome="completed",
                path=path,
                undoable=True,
            )
            for path, name in about.added
        ]

    def _take_end(self, row: EntryRow) -> None:
        self.end = result_of(row.lite or "{}", row.json) or Result(kind="Output")
        if self.end.failed:
            self.failure = Failed(
                message=self.end.message or "", code=self.end.code, at=row.appended_at
            )
        elif self._keeps and self.end.value:
            self.payloads["output"] = text_of(self.end.value)

    def _keep_input(self, whole: str) -> None:
        self.payloads["input"] = text_of(input_of(whole))


def _give_errors(reading: _Reading, row: InvocationRow, events: Sequence[EventRow]) -> None:
    """Give errors of attempts to what they happened in."""
    seen: set[tuple[int | None, str]] = set()

    def give(message: str, code: int | None, index: int | None, at: datetime | None) -> None:
        if (index, message) in seen:
            return
        seen.add((index, message))
        entry = reading.by_command.get(index) if index is not None else None
        errors = reading.errors if entry is None else entry.errors
        errors.append(Failed(message=message, code=code, at=at))

    for event in events:
        told = event_error(event.event_json)
        if told is not None:
            give(*told, event.appended_at)
    failure = last_failure(row)
    if failure is not None and not seen:
        give(failure, None, row.last_failure_related_command_index, row.modified_at)


def _from_milliseconds(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
