"""Traces and metrics of sagas over OpenTelemetry's API (extra ``resaga[otel]``).

`OpenTelemetryObserver` makes a span for each saga, step and compensation, and a few metrics. It
needs the API only; what is done with them is up to the SDK that the application sets up.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar, Token
from weakref import WeakKeyDictionary

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, Status, StatusCode, Tracer, TracerProvider
from restate import TerminalError
from restate.extensions import current_context

from resaga.errors import RollbackIncomplete
from resaga.ext.recall import Open, Recall
from resaga.ext.spans import STEP, UNDO, Trace, stable_ids, trace_headers
from resaga.observe import SagaEvent, SagaObserver, StepEvent

__all__ = ["OpenTelemetryObserver", "trace_headers"]

_NAME = "resaga"

_attached: ContextVar[tuple[str, Token[Context]] | None] = ContextVar(
    "resaga_attached", default=None
)


class OpenTelemetryObserver(SagaObserver):
    """Makes spans and metrics of what happens in sagas.

    A saga's span continues the ``traceparent`` that its caller sent; those of its steps and
    compensations are its children, whichever workers they run on: the ids are derived from the
    events' (R25). Inside an action its span is the current one, so that what your libraries
    trace there is its child. A span is made when its step ends; what the journal already held
    makes none. Sagas and durable steps begin in it when they really did, on whichever worker.

    With the SDK for Python, the ids are set through the tracer's ``id_generator``. With a tracer
    that has none, spans get ids of its own, and those of a saga are no family.

    Args:
        tracer_provider: Where spans go; default: the global one, looked up at each attempt.
        meter_provider: Where metrics go; default: the global one.

    Example:
        >>> from resaga import Saga, saga_workflow
        >>> telemetry = OpenTelemetryObserver()
        >>> @saga_workflow("Checkout", observers=[telemetry])
        ... async def checkout(saga: Saga, order: str) -> None: ...
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._provider = tracer_provider
        self._recall = Recall()
        self._lock = threading.Lock()
        # By attempt: they go with it, also if it is cut off and no end is told (R26).
        self._traces: WeakKeyDictionary[object, Trace] = WeakKeyDictionary()
        self._running: WeakKeyDictionary[object, set[tuple[str, str, str]]] = WeakKeyDictionary()
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._sagas = meter.create_counter(
            "resaga.sagas", unit="{saga}", description="Sagas that ended, by outcome."
        )
        self._rollbacks = meter.create_histogram(
            "resaga.rollback.duration",
            unit="s",
            description="From the first compensation to the end of the rollback.",
        )
        self._undo_failures = meter.create_counter(
            "resaga.compensation.failures",
            unit="{failure}",
            description="Compensations that failed: attempts, and for good.",
        )
        meter.create_observable_up_down_counter(
            "resaga.steps.in_flight",
            callbacks=[self._in_flight],
            unit="{step}",
            description="Steps that run in this worker now.",
        )

    # -- what is told --------------------------------------------------------------------------

    def on_saga_started(self, event: SagaEvent) -> None:
        """Note the begin."""
        self._recall.begin(event.saga_id)

    def on_saga_completed(self, event: SagaEvent) -> None:
        """Make the saga's span."""
        self._end_saga(event, "completed")

    def on_saga_failed(self, event: SagaEvent) -> None:
        """Make the saga's span."""
        incomplete = isinstance(event.error, RollbackIncomplete)
        self._end_saga(event, "incomplete" if incomplete else "rolled back")

    def on_step_started(self, event: StepEvent) -> None:
        """Note the begin, and make the step's span the current one of its action."""
        self._begin(event, STEP)

    def on_step_completed(self, event: StepEvent) -> None:
        """Make the step's span."""
        self._end(event, STEP)

    def on_step_failed(self, event: StepEvent) -> None:
        """Make the step's span, or note that an attempt failed."""
        self._end(event, STEP)

    def on_compensation_started(self, event: StepEvent) -> None:
        """Note the begin, and that of the rollback."""
        if event.rollback_began is not None:  # Else a savepoint alone is rolled back.
            self._recall.begin(f"{event.saga_id}/rollback").not_after(event.rollback_began)
        self._begin(event, UNDO)

    def on_compensation_completed(self, event: StepEvent) -> None:
        """Make the compensation's span."""
        self._end(event, UNDO)

    def on_compensation_failed(self, event: StepEvent) -> None:
        """Make the compensation's span, or note that an attempt failed."""
        if self._end(event, UNDO) or event.retried:
            self._undo_failures.add(
                1,
                {
                    "resaga.workflow": event.workflow,
                    "resaga.step": event.step,
                    "resaga.retried": event.retried,
                },
            )

    # -- how -----------------------------------------------------------------------------------

    def _begin(self, event: StepEvent, what: str) -> None:
        key = f"{event.saga_id}/{event.path}/{what}"
        self._recall.begin(key).attempts += 1
        context = self._trace(event).context_of(event, what)
        _attached.set((key, otel_context.attach(context)))
        if what == STEP:
            with self._lock:
                running = self._running.setdefault(_attempt(), set())
                running.add((event.workflow, event.step, event.path))

    def _end(self, event: StepEvent, what: str) -> bool:
        """Make the span if this is the end, and was not told before; whether it was made."""
        key = f"{event.saga_id}/{event.path}/{what}"
        attached = _attached.get()
        if attached is not None and attached[0] == key:
            # Where durable code ends is another place than where its begin was told.
            _attached.set(None)
            otel_context.detach(attached[1])
        if what == STEP:
            with self._lock:
                running = self._running.get(_attempt(), set[tuple[str, str, str]]())
                running.discard((event.workflow, event.step, event.path))
        if event.retried:
            self._recall.begin(key).failed(event.error)
            return False
        opened = self._recall.end(key)
        if event.began is not None:
            opened = opened or Open()
            opened.not_after(event.began)
        if not self._recall.first(event):
            return False
        undo = what == UNDO
        name = f"compensate:{event.step}" if undo else event.step
        span = self._trace(event).start(name, event, what, opened)
        failed = event.error is not None
        outcome = ("failed" if failed else "completed") if undo else event.outcome
        span.set_attributes(
            {**_attributes(event), "resaga.step": event.step, "resaga.path": event.path}
        )
        span.set_attribute("resaga.outcome", outcome or "unknown")
        if undo:
            span.set_attribute("resaga.step.outcome", event.outcome or "unknown")
        _finish(span, event, opened)
        return True

    def _end_saga(self, event: SagaEvent, outcome: str) -> None:
        span = self._trace(event).root
        opened = self._recall.end(event.saga_id)
        rollback = self._recall.end(f"{event.saga_id}/rollback")
        if event.rollback_began is not None:
            rollback = rollback or Open()
            rollback.not_after(event.rollback_began)
        if not self._recall.first(event):
            return
        attributes = {"resaga.workflow": event.workflow, "resaga.outcome": outcome}
        self._sagas.add(1, attributes)
        if rollback is not None:
            self._rollbacks.record((time.time_ns() - rollback.started) / 1e9, attributes)
        span.set_attributes({**_attributes(event), "resaga.outcome": outcome})
        _finish(span, event, opened)

    def _trace(self, event: SagaEvent) -> Trace:
        """The trace of the attempt that this is told from."""
        attempt = _attempt()
        with self._lock:
            found = self._traces.get(attempt)
        if found is None:
            opened = self._recall.begin(event.saga_id)
            opened.not_after(event.saga_began)
            found = Trace.of(event, attempt, self._tracer(), opened)
            with self._lock:
                self._traces[attempt] = found
        return found

    def _tracer(self) -> Tracer:
        # The provider keeps one tracer for each name, so that this one is resaga's own.
        return stable_ids(trace.get_tracer(_NAME, tracer_provider=self._provider))

    def _in_flight(self, _options: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            counted = Counter(
                (workflow, step)
                for running in self._running.values()
                for workflow, step, _ in running
            )
        for (workflow, step), count in counted.items():
            yield Observation(count, {"resaga.workflow": workflow, "resaga.step": step})


def _finish(span: Span, event: SagaEvent, opened: Open | None) -> None:
    if event.error is not None:
        span.set_attribute("error.type", type(event.error).__name__)
        if isinstance(event.error, TerminalError):
            span.set_attribute("resaga.status_code", event.error.status_code)
        # Neither the error's message nor its traceback: they may hold payloads (R24).
        span.set_status(Status(StatusCode.ERROR))
    if opened is not None and opened.attempts:
        span.set_attribute("resaga.attempts", opened.attempts)
        for when, error in opened.failures:
            span.add_event("attempt failed", {"error.type": error}, timestamp=when)
    span.end()


def _attributes(event: SagaEvent) -> dict[str, str]:
    return {"resaga.saga.id": event.saga_id, "resaga.workflow": event.workflow}


def _attempt() -> object:
    """What stands for the attempt in which an observer is told something."""
    return current_context()
