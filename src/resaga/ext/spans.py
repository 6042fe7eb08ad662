"""The spans of a saga: their ids, their parents, and the headers that carry them on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, cast

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
)
from restate.server_context import ServerInvocationContext

from resaga.contexts import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
)
from resaga.ext.recall import Open
from resaga.observe import SagaEvent, StepEvent
from resaga.saga import Saga

__all__ = ["STEP", "UNDO", "Trace", "stable_ids", "trace_headers"]

STEP, UNDO, SAGA = "on_step_started", "on_compensation_started", "on_saga_started"
"""What a span is called by: the event that begins it, whose id is stable (R25)."""

_wanted_ids: ContextVar[tuple[int, int] | None] = ContextVar("resaga_span_ids", default=None)


def trace_headers(
    via: Saga[Any] | DurableStepContext[Any] | DurableCompensationContext[Any],
) -> dict[str, str]:
    """The headers by which what is called from here continues the saga's trace.

    Restate hands a caller's headers to what it calls, and adds no ``traceparent`` of its own
    between services. They are the same on every replay, as Restate demands of a call.

    Args:
        via: The saga, or the context of a durable step or compensation, whose span then is the
            parent.

    Returns:
        A ``traceparent``, and the ``tracestate`` if the saga was called with one.

    Example:
        >>> async def ship(step: DurableStepContext, order: str) -> None:
        ...     await workflow_client(step, shipping).run(order, headers=trace_headers(step))
    """
    invocation = cast("ServerInvocationContext", via.ctx).invocation
    saga_id, own = invocation.invocation_id, dict(invocation.headers)
    parent = _parent_in(own)
    known = parent.is_valid
    span = _id_of(saga_id, None, SAGA)
    if not isinstance(via, Saga):
        # The key of a step is the saga's id and the step's path, and of its undo a bit more.
        path = via.idempotency_key.partition(".")[2].removesuffix(".undo")
        span = _id_of(saga_id, path, UNDO if isinstance(via, CompensationContext) else STEP)
    trace_id = parent.trace_id if known else _trace_id_of(saga_id)
    flags = parent.trace_flags if known else TraceFlags(TraceFlags.SAMPLED)
    headers = {"traceparent": f"00-{trace_id:032x}-{span:016x}-{flags:02x}"}
    if "tracestate" in own:
        headers["tracestate"] = own["tracestate"]
    return headers


class _Ids(Protocol):
    """An id generator of OpenTelemetry's SDK."""

    def generate_span_id(self) -> int: ...
    def generate_trace_id(self) -> int: ...


class _HasIds(Protocol):
    id_generator: _Ids


def stable_ids(tracer: Tracer) -> Tracer:
    """Let the tracer give spans the ids that they are to have, where it has a generator of ids."""
    ids = getattr(tracer, "id_generator", None)
    if ids is not None and not isinstance(ids, _StableIds):
        cast("_HasIds", tracer).id_generator = _StableIds(ids)
    return tracer


class _StableIds:
    """Gives the ids that a span of resaga is to have; else those of the generator it stands for."""

    def __init__(self, others: _Ids) -> None:
        self._others = others

    def generate_trace_id(self) -> int:
        wanted = _wanted_ids.get()
        return self._others.generate_trace_id() if wanted is None else wanted[0]

    def generate_span_id(self) -> int:
        wanted = _wanted_ids.get()
        return self._others.generate_span_id() if wanted is None else wanted[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._others, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A saga's trace, as one attempt sees it.

    Attributes:
        tracer: Makes the spans.
        root: The saga's span. It is ended in the attempt in which the saga ends, and given up in
            others, where it only tells whether the saga is sampled.
        saga: What names it; the parent of the others.
    """

    tracer: Tracer
    root: Span
    saga: SpanContext

    @classmethod
    def of(cls, event: SagaEvent, attempt: object, tracer: Tracer, opened: Open) -> Trace:
        """The trace that the saga's caller began, or one of its own."""
        headers: dict[str, str] = {}
        if isinstance(attempt, ServerInvocationContext):
            headers = dict(attempt.invocation.headers)
        parent = _parent_in(headers)
        known = parent.is_valid
        trace_id = parent.trace_id if known else _trace_id_of(event.saga_id)
        ids = (trace_id, _id_of(event.saga_id, None, SAGA))
        root = _start(
            tracer,
            event.workflow,
            parent=parent if known else None,
            ids=ids,
            kind=SpanKind.SERVER,
            since=opened,
        )
        return cls(tracer=tracer, root=root, saga=root.get_span_context())

    def start(self, name: str, event: StepEvent, what: str, since: Open | None) -> Span:
        """Start the span of a step or compensation, as the saga's child."""
        return _start(
            self.tracer,
            name,
            parent=self.saga,
            ids=(self.saga.trace_id, _id_of(event.saga_id, event.path, what)),
            kind=SpanKind.INTERNAL,
            since=since,
        )

    def context_of(self, event: StepEvent, what: str) -> Context:
        """A context in which the span of a step is the current one, before it is made."""
        named = SpanContext(
            self.saga.trace_id,
            _id_of(event.saga_id, event.path, what),
            is_remote=True,
            trace_flags=self.saga.trace_flags,
            trace_state=self.saga.trace_state,
        )
        return trace.set_span_in_context(NonRecordingSpan(named))


def _start(
    tracer: Tracer,
    name: str,
    *,
    parent: SpanContext | None,
    ids: tuple[int, int],
    kind: SpanKind,
    since: Open | None,
) -> Span:
    context = Context()
    if parent is not None:
        context = trace.set_span_in_context(NonRecordingSpan(parent), context)
    token = _wanted_ids.set(ids)
    try:
        return tracer.start_span(
            name, context, kind=kind, start_time=None if since is None else since.started
        )
    finally:
        _wanted_ids.reset(token)


def _parent_in(headers: Mapping[str, str]) -> SpanContext:
    return trace.get_current_span(propagate.extract(headers, Context())).get_span_context()


def _trace_id_of(saga_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{saga_id}/trace".encode()).digest()[:16]) or 1


def _id_of(saga_id: str, path: str | None, what: str) -> int:
    event_id = f"{saga_id}/{what}" if path is None else f"{saga_id}/{path}/{what}"
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) or 1
