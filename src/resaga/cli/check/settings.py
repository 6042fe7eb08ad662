"""RS501 to RS506: settings of Restate's that fight a rule, as declared or as a server has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import restate

from resaga.cli.check.findings import Finding
from resaga.cli.check.flow import AnyStep
from resaga.cli.check.sagas import SagaHandler

__all__ = ["Settings", "bad_settings", "declared_settings"]

SHORT: Final = timedelta(seconds=10)
"""Less than that is too little for any action that talks to somebody else."""

FORGETFUL: Final = timedelta(minutes=10)
"""Less than that is soon over while a saga that wants a result backs off between attempts."""

NONE: Final = timedelta()

DEFAULT_INACTIVITY: Final = timedelta(minutes=1)
DEFAULT_ABORT: Final = timedelta(minutes=10)
"""What a Restate server has, unless it or the definition was told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one saga; ``None`` where nothing is known.

    Attributes:
        where: Who says so, for messages.
        inactivity: How long an attempt may be idle before it is asked to suspend.
        abort: How long after that it is cut off.
        journal: How long the journal is kept after the end.
        idempotency: How long the results of calls with an idempotency key are kept.
        workflow: How long a Restate workflow's result is kept, and its key taken.
        kills: Whether an invocation is killed when its attempts run out.
        pauses: Whether attempts run out at all.
        kind: What the definition is: ``Service``, ``VirtualObject``, ``Workflow``.
    """

    where: str
    inactivity: timedelta | None = None
    abort: timedelta | None = None
    journal: timedelta | None = None
    idempotency: timedelta | None = None
    workflow: timedelta | None = None
    kills: bool = False
    pauses: bool = True
    kind: str | None = None


def declared_settings(saga: SagaHandler) -> Settings:
    """What a definition and its handler say themselves."""
    definition: Any = saga.definition
    handler: Any = definition.handlers[saga.handler]

    def told(name: str) -> timedelta | None:
        value: timedelta | None = getattr(handler, name)
        return getattr(definition, name, None) if value is None else value

    inactivity, abort = told("inactivity_timeout"), told("abort_timeout")
    if inactivity is not None or abort is not None:
        inactivity = DEFAULT_INACTIVITY if inactivity is None else inactivity
        abort = DEFAULT_ABORT if abort is None else abort
    return Settings(
        where="its definition",
        inactivity=inactivity,
        abort=abort,
        journal=told("journal_retention"),
        idempotency=told("idempotency_retention"),
        workflow=told("workflow_retention"),
    )


def bad_settings(
    saga: SagaHandler, steps: Iterable[AnyStep], settings: Settings
) -> Iterator[Finding]:
    """Find settings with which a saga cannot keep its word."""

    def finding(code: str, what: str, why: str, mend: str) -> Finding:
        return Finding(
            code=code, definition=saga.name, place=saga.place, what=what, why=why, mend=mend
        )

    kind = _kind(saga)
    if settings.kind is not None and settings.kind != kind:
        yield finding(
            "RS505",
            f"it is a {kind}, and {settings.where} has a {settings.kind} of this name",
            "the server refuses to replace one by the other while it is registered",
            "give it another name, or remove the other one's deployment when its last invocation "
            "has ended",
        )
        return  # All else is the other one's.
    if settings.kills:
        yield finding(
            "RS501",
            f"{settings.where} has on_max_attempts set to kill",
            "a killed saga is never rolled back: what it did stays done (R11, R21)",
            "register the definition as resaga makes it: it asks the server to pause",
        )
    if not settings.pauses:
        yield finding(
            "RS506",
            f"{settings.where} has no limit on its attempts",
            "a rollback that cannot go on is never paused for an operator (R11), so that "
            "`resaga list --state stuck` never shows it",
            "set default-retry-policy.max-attempts on the server, or max_attempts in the "
            "definition's retry_policy",
        )
    yield from _cut_off(steps, settings, finding)
    yield from _forgets(settings, kind, finding)


def _cut_off(
    steps: Iterable[AnyStep], settings: Settings, finding: Callable[[str, str, str, str], Finding]
) -> Iterator[Finding]:
    if settings.inactivity is None or settings.abort is None:
        return
    limit = settings.inactivity + settings.abort
    has = (
        f"{settings.where} has an inactivity timeout of {settings.inactivity} and an abort timeout "
        f"of {settings.abort}"
    )
    why = (
        "an attempt whose action runs for longer than both is cut off, and the action begins "
        "again: it may have its effect many times, and never a result"
    )
    mend = "raise abort_timeout above what the longest action takes"
    longest = max(
        (step for step in steps if step.options.timeout is not None),
        key=lambda step: step.options.timeout or NONE,
        default=None,
    )
    if longest is not None and (longest.options.timeout or NONE) > limit:
        what = f"{has}, and step {longest.name} may take {longest.options.timeout}"
        yield finding("RS502", what, why, f"{mend}, or lower the step's timeout")
    elif limit < SHORT:
        yield finding("RS502", has, why, mend)


def _forgets(
    settings: Settings, kind: str, finding: Callable[[str, str, str, str], Finding]
) -> Iterator[Finding]:
    workflow = kind == "Workflow"
    name = "workflow retention" if workflow else "idempotency retention"
    retention = settings.workflow if workflow else settings.idempotency
    if retention is not None and retention < FORGETFUL:
        again = (
            "the key is free again, so the workflow runs twice for one key"
            if workflow
            else "the same call with the same idempotency key is made again"
        )
        yield finding(
            "RS503",
            f"{settings.where} has {'an' if not workflow else 'a'} {name} of {retention}",
            "a saga that calls it, and asks for the result later than that after a crash or a "
            f"pause, finds none (R8); and {again} (R13)",
            f"raise {name.replace(' ', '_')} to a day or more",
        )
    if settings.journal == NONE:
        yield finding(
            "RS504",
            f"{settings.where} has a journal retention of zero",
            "when it has ended, `resaga list` and `show` cannot tell what it did, nor what a "
            "rollback has left undone",
            "raise journal_retention to a day or more",
        )


def _kind(saga: SagaHandler) -> str:
    if isinstance(saga.definition, restate.VirtualObject):
        return "VirtualObject"
    return "Workflow" if isinstance(saga.definition, restate.Workflow) else "Service"
