"""One attempt of a saga: what all its parts share while the handler runs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from resaga.branches import Scheduler
from resaga.classify import ErrorMapper
from resaga.errors import CompensationFailure
from resaga.intercept import Interceptor, Point
from resaga.journal import Journal
from resaga.observe import Outcome, SagaEvent, SagaObserver, StepEvent, notify
from resaga.record import About
from resaga.services import StepScopes

__all__ = ["Attempt", "Moments"]

T = TypeVar("T")


@dataclass(slots=True)
class Moments:
    """When what observers hear the end of began, in milliseconds since 1970; 0 if nobody asks.

    The first step's entry keeps the saga's begin, and the first compensation's the rollback's, so
    that they are the same on every worker. An attempt that leaves no entry leaves no time either.

    Attributes:
        told: Whether there are observers.
        rolling_back: Whether there are, and the saga is rolled back, not a savepoint alone.
        saga_began: When the saga began.
        rollback_began: When its rollback began.
    """

    told: bool = False
    rolling_back: bool = False
    saga_began: int = 0
    rollback_began: int = 0

    def begin(self) -> None:
        """Observers are told: note when the attempt began."""
        self.told = True
        self.saga_began = self.now()

    def now(self) -> int:
        """The time, if anybody asks for it."""
        return time.time_ns() // 1_000_000 if self.told else 0

    def read(self, about: About) -> None:
        """Take over when the saga began from a step's entry."""
        if about.saga_began and self.told:
            self.saga_began = min(self.saga_began, about.saga_began)

    def undo(self, kept: int = 0) -> int:
        """A compensation runs; gives when the rollback began, by this one's entry at the latest."""
        if self.rolling_back:
            began = kept or self.now()
            self.rollback_began = min(self.rollback_began or began, began)
        return self.rollback_began


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
        moments: When the saga and its rollback began, for observers.
        within: The workflows and modules inside the saga that run now, the outermost first: the
            name of each, and the path of its first step.
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
    moments: Moments = field(default_factory=Moments)
    within: tuple[tuple[str, str], ...] = ()

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
                saga_began=moment(self.moments.saga_began),
                rollback_began=moment(self.moments.rollback_began),
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
        began: int = 0,
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
                saga_began=moment(self.moments.saga_began),
                rollback_began=moment(self.moments.rollback_began),
                began=moment(began),
            )
            notify(self.observers, method, event)


def moment(milliseconds: int) -> datetime | None:
    """A time as events tell it; ``None`` if it is not known."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
