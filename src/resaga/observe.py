"""Observers: what resaga tells while sagas run (R25)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

__all__ = ["Outcome", "SagaEvent", "SagaObserver", "StepEvent", "notify"]

logger: logging.Logger = logging.getLogger("resaga")

Outcome: TypeAlias = Literal["completed", "failed", "unknown"]
"""How a step ended: it ``completed``; it ``failed``, as its own code said; or it is ``unknown``
whether its effect happened (retries exhausted, cancelled without a result, result lost)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaEvent:
    """Something happened to a saga.

    Attributes:
        event_id: The same each time this very event is told, on whatever worker; two different
            events never share one.
        saga_id: The invocation id.
        workflow: Name of the definition, or ``Name/handler`` in a virtual object.
        error: What it failed with, if it did.
        saga_began: When the saga began, the same on every worker once its first step is in the
            journal; before, when this attempt did.
        rollback_began: When its rollback began, the same on every worker once the first
            compensation is in the journal; ``None`` before it, and while a savepoint alone is
            rolled back.
    """

    event_id: str
    saga_id: str
    workflow: str
    error: BaseException | None = None
    saga_began: datetime | None = None
    rollback_began: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent(SagaEvent):
    """Something happened to a step or to its compensation.

    Attributes:
        step: The step's name.
        path: Which call of a step in the saga this is: ``"3"``, in branches ``"3.1.2"``.
        outcome: How the step ended; ``None`` while it runs.
        retried: The error is an ordinary one: Restate tries again.
        began: When a durable step or compensation began, the same on every worker; ``None`` of
            plain ones, whose attempts leave nothing in the journal.
    """

    step: str
    path: str
    outcome: Outcome | None = None
    retried: bool = False
    began: datetime | None = None


class SagaObserver:
    """Override what you want to hear of; give instances as ``observers=[...]``.

    Calls come from where things happen, in the event loop: an action's events from inside the
    action, so they are told at least once across attempts, and never for what the journal
    already held (R25). Return quickly. An exception is logged, and breaks nothing.
    """

    def on_saga_started(self, event: SagaEvent) -> None:
        """A saga begins; told on attempts before its journal has an entry."""

    def on_saga_completed(self, event: SagaEvent) -> None:
        """A saga's body returned, and nothing is undone."""

    def on_saga_failed(self, event: SagaEvent) -> None:
        """A saga has been rolled back; ``event.error`` is what its caller gets."""

    def on_step_started(self, event: StepEvent) -> None:
        """An action or a durable step begins an attempt."""

    def on_step_completed(self, event: StepEvent) -> None:
        """A step succeeded."""

    def on_step_failed(self, event: StepEvent) -> None:
        """A step failed, or one attempt of it (``event.retried``), or its outcome is unknown."""

    def on_compensation_started(self, event: StepEvent) -> None:
        """A compensation begins an attempt."""

    def on_compensation_completed(self, event: StepEvent) -> None:
        """A compensation succeeded."""

    def on_compensation_failed(self, event: StepEvent) -> None:
        """A compensation failed for good, or one attempt of it did (``event.retried``)."""


def notify(observers: Sequence[SagaObserver], method: str, event: SagaEvent) -> None:
    """Tell all observers; one that raises is logged by class only, and breaks nothing (R25)."""
    for observer in observers:
        try:
            getattr(observer, method)(event)
        except KeyboardInterrupt:
            raise
        # An observer is no coroutine, so even a CancelledError is of its own making.
        except BaseException as exc:
            # Neither the message nor the traceback's values: they may hold payloads (R24).
            logger.error(
                "observer %s.%s raised %s for event %s",
                type(observer).__name__,
                method,
                type(exc).__name__,
                event.event_id,
            )
