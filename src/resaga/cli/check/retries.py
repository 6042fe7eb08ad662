"""RS301, RS302: retry policies that never end in a saga with a deadline (R20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from resaga.cli.check.findings import Finding
from resaga.cli.check.flow import AnyStep
from resaga.cli.check.sagas import SagaHandler
from resaga.cli.check.source import source_of
from resaga.policy import Retry
from resaga.step import step_parts

__all__ = ["endless_retries"]


def endless_retries(saga: SagaHandler, steps: Iterable[AnyStep]) -> Iterator[Finding]:
    """Find them among the steps of a saga."""
    deadline = saga.options.deadline
    if deadline is None:
        return
    for step in steps:
        parts, options = step_parts(step), step.options
        source = source_of(parts.run.fn)
        place = saga.place if source is None else source.place
        also = () if saga.place is None else (saga.place,)
        if options.retry is not None and not options.retry.bounded:
            yield Finding(
                code="RS301",
                definition=f"step {step.name}",
                place=place,
                what=(
                    f"its retry has no end, and {saga.name} runs it under a deadline of {deadline}"
                ),
                why=(
                    f"the deadline takes effect at the next attempt only, {_waits(options.retry)}, "
                    "and such a policy never has the saga paused for an operator"
                ),
                mend=(
                    "give the Retry max_attempts or max_duration, or leave it out: Restate's own "
                    "policy pauses in the end"
                ),
                also=also,
            )
        undo = options.compensation_retry
        if undo is not None and not undo.bounded and parts.compensate is not None:
            yield Finding(
                code="RS302",
                definition=f"step {step.name}",
                place=place,
                what=(
                    f"its compensation_retry has no end, and {saga.name} has a deadline of "
                    f"{deadline}"
                ),
                why=(
                    "no deadline bounds a rollback: one that keeps failing goes on for ever, is "
                    "never paused for an operator, and whoever waits for the saga waits with it"
                ),
                mend=(
                    "leave compensation_retry out: Restate's own policy pauses the saga for an "
                    "operator in the end; or bound it, and have what is not undone told by "
                    "RollbackIncomplete"
                ),
                also=also,
            )


def _waits(retry: Retry) -> str:
    if retry.max_interval is None:
        return "and the waits between attempts grow and grow"
    return f"which may come {retry.max_interval} late"
