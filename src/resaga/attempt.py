"""One attempt of a saga: what all its parts share while the handler runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from resaga.branches import Scheduler
from resaga.classify import ErrorMapper
from resaga.errors import CompensationFailure
from resaga.intercept import Interceptor, Point
from resaga.journal import Journal
from resaga.observe import Outcome, SagaEvent, SagaObserver, StepEvent, notify
from resaga.services import StepScopes

__all__ = ["Attempt"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What the saga, its steps and its rollback have in common.

    Attributes:
        journal: The attempt as the journal and the server see it.
        workflow: Name of the definition, for messages and events.
        services: The saga's services: what steps get as ``step.services``, but for ``scopes``.
        mappers: The ``as_terminal_error`` of the workflow, after those of the workflows that run
            inside it and are running now (R3).
        observers: Who is told what happens (R25).
        max_result_size: Bytes that one step may leave in the journal (R15).
        scheduler: Runs branches side by side (R17).
        interceptor: What the steps are run through, if a tool wants that.
        scopes: The provider of ``services``, if it opens a scope for each action, too.
        left_undone: The compensations that failed for good in savepoints that were rolled back;
            if the saga fails later, they belong to what it has left undone (R10, R18).
    """

    journal: Journal
    workflow: str
    services: object
    mappers: tuple[ErrorMapper | None, ...]
    observers: Sequence[SagaObserver]
    max_result_size: int
    scheduler: Scheduler
    interceptor: Interceptor | None = None
    scopes: StepScopes[Any] | None = None
    left_undone: list[CompensationFailure] = field(default_factory=list[CompensationFailure])

    def where(self, what: str) -> str:
        """``what`` and the saga it is in, for messages (R21)."""
        return f"{what} of saga {self.workflow} ({self.journal.saga_id})"

    def around(
        self, point: Callable[[], Point], proceed: Callable[[], Awaitable[T]]
    ) -> Awaitable[T]:
        """Run what is at a point of the saga, through the interceptor if there is one."""
        if self.interceptor is None:
            return proceed()
        return self.interceptor.around(point(), proceed)

    def tell_saga(self, method: str, error: BaseException | None = None) -> None:
        """Tell the observers what happened to the saga."""
        if self.observers:
            saga_id = self.journal.saga_id
            event = SagaEvent(
                event_id=f"{saga_id}/{method}",
                saga_id=saga_id,
                workflow=self.workflow,
                error=error,
            )
            notify(self.observers, method, event)

    def tell_step(
        self,
        method: str,
        step: str,
        path: str,
        *,
        outcome: Outcome | None = None,
        error: BaseException | None = None,
        retried: bool = False,
    ) -> None:
        """Tell the observers what happened to a step or its compensation."""
        if self.observers:
            saga_id = self.journal.saga_id
            event = StepEvent(
                event_id=f"{saga_id}/{path}/{method}" + ("/retried" if retried else ""),
                saga_id=saga_id,
                workflow=self.workflow,
                step=step,
                path=path,
                outcome=outcome,
                error=error,
                retried=retried,
            )
            notify(self.observers, method, event)
