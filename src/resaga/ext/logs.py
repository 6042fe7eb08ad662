"""What happens in sagas, for the standard `logging`."""

from __future__ import annotations

import logging

from restate import TerminalError

from resaga.errors import RollbackIncomplete
from resaga.ext.recall import Recall
from resaga.observe import SagaEvent, SagaObserver, StepEvent

__all__ = ["LoggingObserver"]


class LoggingObserver(SagaObserver):
    """Logs what happens in sagas, with the facts as fields; silent about what is replayed.

    The message is for people; for machines each record has ``extra`` fields: ``saga_id``,
    ``workflow``, ``event`` (``step_failed``, say), ``event_id``; of steps and compensations
    ``step``, ``path``, ``attempt`` (counted on this worker) and ``outcome``; of errors
    ``error_type``, and ``status_code`` if it is terminal. Messages of errors are not logged:
    they may hold payloads (R24).

    Levels: steps and compensations ``DEBUG``, sagas ``INFO``, what is retried or rolled back
    ``WARNING``, a compensation that failed for good or a rollback left incomplete ``ERROR``.

    Args:
        logger: Where to; default: the logger ``resaga.sagas``.

    Example:
        >>> from resaga import Saga, saga_workflow
        >>> @saga_workflow("Checkout", observers=[LoggingObserver()])
        ... async def checkout(saga: Saga, order: str) -> None: ...
    """

    def __init__(self, *, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("resaga.sagas")
        self._recall = Recall()

    def on_saga_started(self, event: SagaEvent) -> None:
        """Log at ``INFO``; again only on another worker."""
        if self._recall.first(event):
            self._saga(event, logging.INFO, "saga_started", "started")

    def on_saga_completed(self, event: SagaEvent) -> None:
        """Log at ``INFO``."""
        if self._recall.first(event):
            self._saga(event, logging.INFO, "saga_completed", "completed")

    def on_saga_failed(self, event: SagaEvent) -> None:
        """Log at ``WARNING``, or at ``ERROR`` if something could not be undone."""
        if not self._recall.first(event):
            return
        if isinstance(event.error, RollbackIncomplete):
            left = ", ".join(failure.name for failure in event.error.failures)
            self._saga(event, logging.ERROR, "saga_failed", f"rolled back, but for: {left}")
        else:
            self._saga(event, logging.WARNING, "saga_failed", "rolled back")

    def on_step_started(self, event: StepEvent) -> None:
        """Log at ``DEBUG``."""
        self._step(event, logging.DEBUG, "step_started", "started")

    def on_step_completed(self, event: StepEvent) -> None:
        """Log at ``DEBUG``."""
        self._step(event, logging.DEBUG, "step_completed", "completed")

    def on_step_failed(self, event: StepEvent) -> None:
        """Log at ``WARNING``."""
        self._step(event, logging.WARNING, "step_failed", _failed(event))

    def on_compensation_started(self, event: StepEvent) -> None:
        """Log at ``DEBUG``."""
        self._step(event, logging.DEBUG, "compensation_started", "compensation started")

    def on_compensation_completed(self, event: StepEvent) -> None:
        """Log at ``DEBUG``."""
        self._step(event, logging.DEBUG, "compensation_completed", "undone")

    def on_compensation_failed(self, event: StepEvent) -> None:
        """Log at ``WARNING`` if it is retried, at ``ERROR`` if it failed for good."""
        level = logging.WARNING if event.retried else logging.ERROR
        self._step(event, level, "compensation_failed", f"compensation {_failed(event)}")

    def _saga(self, event: SagaEvent, level: int, name: str, what: str) -> None:
        self._logger.log(
            level, "%s %s %s", event.workflow, event.saga_id, what, extra=_fields(event, name)
        )

    def _step(self, event: StepEvent, level: int, name: str, what: str) -> None:
        begins, ends = name.endswith("_started"), not event.retried
        if not begins and ends and not self._recall.first(event):
            return
        key = f"{event.saga_id}/{event.path}/{name.partition('_')[0]}"
        opened = self._recall.begin(key)
        opened.attempts += begins
        if not begins and ends:
            self._recall.end(key)
        self._logger.log(
            level,
            "%s %s: step %s (%s) %s",
            event.workflow,
            event.saga_id,
            event.step,
            event.path,
            what,
            extra={
                **_fields(event, name),
                "step": event.step,
                "path": event.path,
                "attempt": max(opened.attempts, 1),
                "outcome": event.outcome,
            },
        )


def _failed(event: StepEvent) -> str:
    error = type(event.error).__name__
    if event.retried:
        return f"failed with {error}, and is tried again"
    return f"failed for good with {error}"


def _fields(event: SagaEvent, name: str) -> dict[str, object]:
    fields: dict[str, object] = {
        "saga_id": event.saga_id,
        "workflow": event.workflow,
        "event": name,
        "event_id": event.event_id,
    }
    if event.error is not None:
        fields["error_type"] = type(event.error).__name__
        if isinstance(event.error, TerminalError):
            fields["status_code"] = event.error.status_code
    return fields
