"""One call of a step: from the user's function to what the journal holds, and back (R12-R16)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Never

import msgspec
from restate import TerminalError

from resaga.attempt import Attempt
from resaga.classify import ErrorMapper, internal_of, raise_ordinary, raise_terminal, terminal_of
from resaga.compensation import Compensation, keep_key
from resaga.contexts import DurableStepContext, StepContext
from resaga.errors import CodecError, Interruption, MisuseError, StepTimeout
from resaga.injection import Code
from resaga.observe import Outcome
from resaga.policy import Retry
from resaga.record import ABSENT, About, Failure, Record, RecordCodec
from resaga.response import StepResponse, response_of
from resaga.wire import carriable_terminal

__all__ = ["StepOptions", "StepSpec", "run_durable", "run_plain"]

_OUTCOME = "resaga.outcome"
"""Metadata of a journaled failure that is not the step's own: its effect may have happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """What `saga_step` and its sisters were given beside name and functions."""

    strict: bool
    durable: bool = False
    retry: Retry | None = None
    compensation_retry: Retry | None = None
    timeout: timedelta | None = None
    as_terminal_error: ErrorMapper | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """A step's name and function, and how to call it."""

    name: str
    run: Code
    takes_input: bool
    options: StepOptions

    def arguments(self, input: object) -> tuple[object, ...]:
        """The arguments of ``run`` after its context."""
        return (input,) if self.takes_input else ()


async def run_plain(
    attempt: Attempt, spec: StepSpec, codec: RecordCodec, entry: Compensation
) -> object:
    """Run a plain step's action, or take its result from the journal; tell ``entry`` the outcome.

    Returns:
        The step's output, decoded from what the journal holds, also on the first attempt (R16).

    Raises:
        TerminalError: The step failed for good, or the saga is being cancelled.
    """
    action = _Action(attempt, spec, codec, entry)
    try:
        raw = await attempt.journal.run(spec.name, action.perform, retry=spec.options.retry)
    except TerminalError as exc:
        # Interrupted before it began, or retries exhausted: there is no result either way.
        _tell_unknown(attempt, entry, exc)
        raise
    record = action.record_of(raw)
    entry.forward_key = record.key
    if record.about is not None and _is_own(attempt, record.key):
        attempt.moments.read(record.about)
    if record.failure is not None:
        if record.data is not ABSENT:
            entry.data = lambda: codec.decode_data(raw)
        _fail(entry, record.failure)
    entry.outcome = "completed"
    entry.data = lambda: codec.decode_data(raw)
    return record.output


def _is_own(attempt: Attempt, key: str) -> bool:
    """Whether an entry is of this saga, and not of the one that it is a copy of (R13)."""
    return key.startswith(f"{attempt.journal.saga_id}.")


def _fail(entry: Compensation, failure: Failure) -> Never:
    metadata = dict(failure.metadata or {})
    entry.outcome = "unknown" if metadata.pop(_OUTCOME, None) else "failed"
    raise TerminalError(failure.message, failure.code, metadata or None)


async def run_durable(attempt: Attempt, spec: StepSpec, entry: Compensation) -> object:
    """Run a durable step's body, which Restate replays like the workflow's own.

    Raises:
        TerminalError: The body ended in one, or the saga is being cancelled.
    """
    journal = attempt.journal
    try:
        kept = await keep_key(
            attempt,
            spec.name,
            entry.forward_key,
            on_begin=lambda: attempt.tell_step("on_step_started", spec.name, entry.path),
            about=lambda: entry.about,
        )
    except Interruption as exc:
        _tell_unknown(attempt, entry, exc)
        raise
    entry.forward_key = kept.key
    if kept.about is not None and _is_own(attempt, kept.key):
        attempt.moments.read(kept.about)
        entry.began = kept.began

    def context(services: object) -> DurableStepContext[object]:
        return DurableStepContext(
            name=spec.name,
            saga_id=journal.saga_id,
            idempotency_key=entry.forward_key,
            services=services,
            ctx=journal.ctx,
        )

    where = attempt.where(f"step {spec.name!r}")
    try:
        response = response_of(
            await attempt.around(
                lambda: entry.point("action", journal.saga_id),
                lambda: spec.run.durably(
                    attempt, context, *spec.arguments(entry.input), where=where
                ),
            )
        )
        _check_failure_data(attempt, spec, response)
    except BaseException as exc:
        terminal = terminal_of(exc, spec.options.as_terminal_error, *attempt.mappers)
        if terminal is None:
            if not journal.replaying and internal_of(exc) is None:
                _tell(attempt, entry, "on_step_failed", error=exc, retried=True)
            raise_ordinary(exc)
        entry.outcome = "unknown" if journal.interrupted else "failed"
        _tell_unless_replayed(attempt, entry, "on_step_failed", terminal)
        raise_terminal(terminal)
    data = response.compensation_data
    if data is not ABSENT:
        entry.data = lambda: data
    if response.failure is not None:
        entry.outcome = "failed"
        error = TerminalError(response.failure.message, response.failure.code)
        _tell_unless_replayed(attempt, entry, "on_step_failed", error)
        raise error
    entry.outcome = "completed"
    _tell_unless_replayed(attempt, entry, "on_step_completed")
    return response.output


class _Action:
    """One call of a plain step's action, from the user's function to the journaled bytes.

    What cannot be journaled is found here, inside the action, before it is proposed: the step
    then fails for good, once, and its effect is not repeated (R15).
    """

    def __init__(
        self, attempt: Attempt, spec: StepSpec, codec: RecordCodec, entry: Compensation
    ) -> None:
        self._attempt = attempt
        self._spec = spec
        self._codec = codec
        self._entry = entry
        self._proposed: tuple[bytes, Record] | None = None

    def record_of(self, raw: bytes) -> Record:
        """The record in the journal; what this attempt has proposed is not decoded again."""
        if self._proposed is not None and self._proposed[0] == raw:
            return self._proposed[1]
        return self._codec.decode(raw)

    async def perform(self) -> bytes:
        """Run the user's function; what came of it, as bytes for the journal."""
        spec, attempt, entry = self._spec, self._attempt, self._entry
        attempt.tell_step("on_step_started", spec.name, entry.path)
        try:
            response = response_of(await self._call())
            _check_failure_data(attempt, spec, response)
        except Exception as exc:
            terminal = terminal_of(exc, spec.options.as_terminal_error, *attempt.mappers)
            if terminal is None:
                if internal_of(exc) is None:
                    _tell(attempt, entry, "on_step_failed", error=exc, retried=True)
                raise
            terminal = carriable_terminal(terminal)
            failure = Failure(
                message=terminal.message, code=terminal.status_code, metadata=terminal.metadata
            )
            return self._failed(failure, ABSENT, terminal)
        if response.failure is not None:
            error = carriable_terminal(
                TerminalError(response.failure.message, response.failure.code)
            )
            failure = Failure(message=error.message, code=error.status_code, metadata=None)
            return self._failed(failure, response.compensation_data, error)
        return self._completed(response)

    async def _call(self) -> object:
        spec, attempt = self._spec, self._attempt
        where = attempt.where(f"step {spec.name!r}")

        def context(services: object) -> StepContext[object]:
            return StepContext(
                name=spec.name,
                saga_id=attempt.journal.saga_id,
                idempotency_key=self._entry.forward_key,
                services=services,
            )

        running = attempt.around(
            lambda: self._entry.point("action", attempt.journal.saga_id),
            lambda: spec.run.in_action(
                attempt, context, *spec.arguments(self._entry.input), where=where
            ),
        )
        timeout = spec.options.timeout
        if timeout is None:
            return await running
        limit = asyncio.timeout(timeout.total_seconds())
        try:
            async with limit:
                return await running
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise StepTimeout(
                f"{where}: an attempt of its action took longer than its timeout of {timeout}. "
                "Restate tries again; its effect may have happened, so use step.idempotency_key."
            ) from exc

    def _completed(self, response: StepResponse[object, object]) -> bytes:
        attempt, entry = self._attempt, self._entry
        try:
            raw, record = self._codec.seal(
                entry.forward_key, response.output, response.compensation_data, entry.about
            )
        except CodecError as exc:
            return self._lost(f"its result cannot be journaled: {exc}")
        if len(raw) > attempt.max_result_size:
            return self._lost(
                f"its result takes {len(raw):,} bytes in the journal, and max_result_size is "
                f"{attempt.max_result_size:,}. Store it elsewhere and return a reference."
            )
        self._proposed = (raw, record)
        _tell(attempt, entry, "on_step_completed", outcome="completed")
        return raw

    def _lost(self, why: str) -> bytes:
        """The effect happened, and what it gave cannot be kept: fail for good, undo (R15)."""
        where = self._attempt.where(f"step {self._spec.name!r}")
        failure = Failure(message=f"{where}: {why}", code=500, metadata={_OUTCOME: "unknown"})
        return self._failed(failure, ABSENT, TerminalError(failure.message), outcome="unknown")

    def _failed(
        self,
        failure: Failure,
        data: object,
        error: TerminalError,
        *,
        outcome: Outcome = "failed",
    ) -> bytes:
        attempt, entry = self._attempt, self._entry
        key, about = entry.forward_key, entry.about
        if entry.strict:
            about = msgspec.structs.replace(about or About(), undo=False)
        try:
            raw = self._codec.encode_failure(key, failure, data, about)
        except CodecError as exc:
            where = attempt.where(f"step {self._spec.name!r}")
            note = f"{failure.message} ({where}: its compensation data cannot be journaled: {exc})"
            failure = replace(failure, message=note, metadata={_OUTCOME: "unknown"})
            outcome = "unknown"
            raw = self._codec.encode_failure(key, failure, ABSENT, about)
        if len(raw) > attempt.max_result_size:
            failure = Failure(
                message=failure.message[:1000], code=failure.code, metadata={_OUTCOME: "unknown"}
            )
            outcome = "unknown"
            raw = self._codec.encode_failure(key, failure, ABSENT, about)
        _tell(attempt, entry, "on_step_failed", outcome=outcome, error=error)
        return raw


def _check_failure_data(
    attempt: Attempt, spec: StepSpec, response: StepResponse[object, object]
) -> None:
    if (
        response.failure is not None
        and spec.options.strict
        and response.compensation_data is not ABSENT
    ):
        raise MisuseError(
            f"{attempt.where(f'step {spec.name!r}')} is strict and returned a permanent_failure "
            "with compensation data. A strict step that failed is not undone, so nobody would "
            "get the data. Make it a hybrid step (saga_step)."
        )


def _tell(
    attempt: Attempt,
    entry: Compensation,
    method: str,
    *,
    outcome: Outcome | None = None,
    error: BaseException | None = None,
    retried: bool = False,
) -> None:
    attempt.tell_step(
        method,
        entry.name,
        entry.path,
        outcome=outcome,
        error=error,
        retried=retried,
        began=entry.began,
    )


def _tell_unless_replayed(
    attempt: Attempt, entry: Compensation, method: str, error: BaseException | None = None
) -> None:
    if not attempt.journal.replaying:
        _tell(attempt, entry, method, outcome=entry.outcome, error=error)


def _tell_unknown(attempt: Attempt, entry: Compensation, error: BaseException | None) -> None:
    """The step has no result; a strict one is not undone, so this is all that names it (R7)."""
    _tell_unless_replayed(attempt, entry, "on_step_failed", error)
