"""Workflows as Restate's own definitions: `saga_workflow` and `create_saga_workflow`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, Never, Protocol, TypedDict, Unpack, cast, overload

import restate
from restate import InvocationRetryPolicy
from typing_extensions import TypeVar

from resaga.action import runs_in_thread
from resaga.classify import ErrorMapper, check_mapper
from resaga.errors import MisuseError
from resaga.handlers import Body, Handler, SagaOptions, open_handler, refuse_explicit_recovery
from resaga.observe import SagaObserver
from resaga.policy import (
    DEFAULT_MAX_RESULT_SIZE,
    check_result_size,
    positive,
    saga_retry_policy,
)
from resaga.saga import Saga, check_name
from resaga.services import Provider

__all__ = ["SagaWorkflow", "create_saga_workflow", "saga_workflow"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
# `SagaWorkflow[In, Out]` is a workflow of whatever services: Any alone says so.
S_contra = TypeVar("S_contra", contravariant=True, default=Any)
In = TypeVar("In")
Out = TypeVar("Out")
S = TypeVar("S")


_SERVICE_NAME = re.compile(r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*")
"""The names of services that Restate's discovery admits: they stand in URLs."""


def _check_service_name(name: object) -> None:
    check_name(name, "workflow")
    if isinstance(name, str) and _SERVICE_NAME.fullmatch(name) is None:
        raise MisuseError(
            f"Restate admits no service named {name!r}: the name stands in URLs. Use letters, "
            "digits, '.', '-' and '_', beginning with a letter."
        )


class SagaWorkflow(restate.Service, Generic[In_contra, Out_co, S_contra]):
    """A workflow as a Restate service with one handler, ``run``. Made by `saga_workflow`.

    It is a `restate.Service`: give it to ``restate.app([...])``, and whatever works with those
    works with it.

    Attributes:
        run: Its handler, for ``ctx.service_call(checkout.run, order)`` and the SDK's client.
    """

    def __init__(
        self,
        name: str,
        fn: Callable[..., Awaitable[Any]],
        options: SagaOptions,
        **restate_options: Any,
    ) -> None:
        _check_service_name(name)
        if runs_in_thread(fn):
            raise MisuseError(
                f"The body of workflow {name} is not an async def: {fn!r}. It awaits steps, so it "
                "has to be one."
            )
        self._made_of = (name, fn, options, restate_options)
        definition = dict(restate_options)
        policy = saga_retry_policy(definition.pop("retry_policy", None), where=f"workflow {name}")
        super().__init__(name, invocation_retry_policy=policy, **definition)
        self._body = body = Body(fn, where=name, leading=1)
        self.run: Handler[In_contra, Out_co] = open_handler(
            self, body, options, name="run", workflow=name
        )

    @property
    def explicit_recovery(self) -> bool:
        """Never: a saga needs its journal (R21)."""
        return False

    @explicit_recovery.setter
    def explicit_recovery(self, value: bool) -> None:
        if value:
            refuse_explicit_recovery(self.name)

    def with_services(
        self, provider: Provider[In_contra, S_contra]
    ) -> SagaWorkflow[In_contra, Out_co, S_contra]:
        """Give a copy of this workflow whose services come from ``provider``.

        Args:
            provider: What `saga_workflow` takes as ``services_from``; it replaces services that
                this workflow has.

        Returns:
            A workflow of the same name, to be served instead of this one.
        """
        name, fn, options, restate_options = self._made_of
        bound = replace(options, services=None, services_from=provider)
        return SagaWorkflow(name, fn, bound, **restate_options)

    def __repr__(self) -> str:
        return f"<SagaWorkflow {self.name}>"


class WorkflowOptions(TypedDict, total=False):
    """The options of `saga_workflow` beside ``services`` and ``services_from``."""

    as_terminal_error: ErrorMapper | None
    observers: Sequence[SagaObserver]
    max_result_size: int
    deadline: timedelta | None
    retry_policy: InvocationRetryPolicy | None
    description: str | None
    metadata: Mapping[str, str] | None
    inactivity_timeout: timedelta | None
    abort_timeout: timedelta | None
    journal_retention: timedelta | None
    idempotency_retention: timedelta | None
    ingress_private: bool | None


class WorkflowDecorator(Protocol):
    """What `saga_workflow` returns: takes the body, gives the workflow.

    Without services of its own a workflow may ask for any: it gets them from `with_services`.
    """

    @overload
    def __call__(
        self, fn: Callable[[Saga[S], In], Coroutine[object, Never, Out]], /
    ) -> SagaWorkflow[In, Out, S]: ...
    @overload
    def __call__(
        self, fn: Callable[[Saga[S]], Coroutine[object, Never, Out]], /
    ) -> SagaWorkflow[None, Out, S]: ...


class ServedWorkflowDecorator(Protocol[S]):
    """What `saga_workflow` returns if it is given services: the body may ask for those only."""

    @overload
    def __call__(
        self, fn: Callable[[Saga[S], In], Coroutine[object, Never, Out]], /
    ) -> SagaWorkflow[In, Out, S]: ...
    @overload
    def __call__(
        self, fn: Callable[[Saga[S]], Coroutine[object, Never, Out]], /
    ) -> SagaWorkflow[None, Out, S]: ...


@overload
def saga_workflow(
    name: str,
    *,
    services: None = None,
    services_from: None = None,
    **options: Unpack[WorkflowOptions],
) -> WorkflowDecorator: ...
@overload
def saga_workflow(
    name: str, *, services: S, **options: Unpack[WorkflowOptions]
) -> ServedWorkflowDecorator[S]: ...
@overload
def saga_workflow(
    name: str, *, services_from: Provider[Any, S], **options: Unpack[WorkflowOptions]
) -> ServedWorkflowDecorator[S]: ...
def saga_workflow(
    name: str,
    *,
    services: object = None,
    services_from: Provider[Any, object] | None = None,
    as_terminal_error: ErrorMapper | None = None,
    observers: Sequence[SagaObserver] = (),
    max_result_size: int = DEFAULT_MAX_RESULT_SIZE,
    deadline: timedelta | None = None,
    retry_policy: InvocationRetryPolicy | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    inactivity_timeout: timedelta | None = None,
    abort_timeout: timedelta | None = None,
    journal_retention: timedelta | None = None,
    idempotency_retention: timedelta | None = None,
    ingress_private: bool | None = None,
) -> WorkflowDecorator | ServedWorkflowDecorator[Any]:
    """Make a workflow of an ``async def`` that takes a `Saga` and at most one input.

    It is a Restate service with the handler ``run``. When the body ends in a terminal error,
    what its steps did is undone in reverse order, and the caller gets that error (R1, R10).
    Every attempt runs the body again; what the journal holds is not run again.

    Args:
        name: Name of the service.
        services: An object that all its sagas share as ``saga.services``.
        services_from: A function of a `SagaRequest` that gives an async context manager, entered
            once per attempt; what it yields are the services (R28).
        as_terminal_error: Which ordinary errors end the saga, beside the registered ones (R3).
        observers: Told what happens, see `SagaObserver` (R25).
        max_result_size: Bytes that one step may leave in the journal, default 8 MiB (R15).
        deadline: Bounds the forward part, from the first step on: when it passes, the step in
            flight is waited for, no other starts, and the saga rolls back with
            `DeadlineExceeded` (408). The rollback is never bounded. It costs one journal entry.
            By default there is none (R20).
        retry_policy: How Restate retries attempts; it always pauses in the end, and never kills,
            as a killed saga is not rolled back.
        description: Shown by Restate's UI and its OpenAPI documents.
        metadata: Likewise.
        inactivity_timeout: How long an attempt may be idle before Restate suspends it.
        abort_timeout: How long after that it may go on before its connection is cut.
        journal_retention: How long the journal is kept after the end.
        idempotency_retention: How long results of idempotent requests are kept.
        ingress_private: Whether only other handlers may call it.

    Raises:
        MisuseError: At definition, for what cannot work (R21).

    Example::

        @saga_workflow("CheckoutWorkflow")
        async def checkout(saga: Saga, order: Order) -> Receipt:
            reserved = await reserve_inventory(saga, order)
            paid = await charge_payment(saga, Charge(order.amount))
            return Receipt(reserved.id, paid.id)


        app = restate.app([checkout])
    """
    positive(deadline, f"deadline of workflow {name}")
    check_result_size(max_result_size, f"max_result_size of workflow {name}")
    check_mapper(as_terminal_error, f"as_terminal_error of workflow {name}")
    if services is not None and services_from is not None:
        raise MisuseError(
            f"workflow {name} has both services= and services_from=. Give the one object all sagas "
            "share, or the provider that builds them for each attempt."
        )
    options = SagaOptions(
        services=services,
        services_from=services_from,
        as_terminal_error=as_terminal_error,
        observers=tuple(observers),
        max_result_size=max_result_size,
        deadline=deadline,
    )
    restate_options: dict[str, Any] = {
        "retry_policy": retry_policy,
        "description": description,
        "metadata": None if metadata is None else dict(metadata),
        "inactivity_timeout": inactivity_timeout,
        "abort_timeout": abort_timeout,
        "journal_retention": journal_retention,
        "idempotency_retention": idempotency_retention,
        "ingress_private": ingress_private,
    }

    def decorate(fn: Callable[..., Coroutine[object, Never, object]]) -> object:
        return SagaWorkflow(name, fn, options, **restate_options)

    return cast("WorkflowDecorator", decorate)


@overload
def create_saga_workflow(
    name: str,
    handler: Callable[[Saga[S], In], Coroutine[object, Never, Out]],
    *,
    services: None = None,
    services_from: None = None,
    **options: Unpack[WorkflowOptions],
) -> SagaWorkflow[In, Out, S]: ...
@overload
def create_saga_workflow(
    name: str,
    handler: Callable[[Saga[S]], Coroutine[object, Never, Out]],
    *,
    services: None = None,
    services_from: None = None,
    **options: Unpack[WorkflowOptions],
) -> SagaWorkflow[None, Out, S]: ...
@overload
def create_saga_workflow(
    name: str,
    handler: Callable[[Saga[S], In], Coroutine[object, Never, Out]],
    *,
    services: S,
    **options: Unpack[WorkflowOptions],
) -> SagaWorkflow[In, Out, S]: ...
@overload
def create_saga_workflow(
    name: str,
    handler: Callable[[Saga[S]], Coroutine[object, Never, Out]],
    *,
    services: S,
    **options: Unpack[WorkflowOptions],
) -> SagaWorkflow[None, Out, S]: ...
@overload
def create_saga_workflow(
    name: str,
    handler: Callable[[Saga[S], In], Coroutine[object, Never, Out]],
    *,
    services_from: Provider[In, S],
    **options: Unpack[WorkflowOptions],
) -> SagaWorkflow[In, Out, S]: ...
@overload
def create_saga_workflow(
    name: str,
    handler: Callable[[Saga[S]], Coroutine[object, Never, Out]],
    *,
    services_from: Provider[None, S],
    **options: Unpack[WorkflowOptions],
) -> SagaWorkflow[None, Out, S]: ...
def create_saga_workflow(
    name: str, handler: Callable[..., Coroutine[object, Never, Any]], **options: Any
) -> SagaWorkflow[Any, Any, Any]:
    """Make a workflow of a function, without a decorator; see `saga_workflow`.

    Args:
        name: Name of the service.
        handler: Its body.
        **options: The keywords of `saga_workflow`.

    Returns:
        The workflow.

    Raises:
        MisuseError: For what cannot work (R21).

    Example::

        checkout = create_saga_workflow("CheckoutWorkflow", run_checkout)
    """
    decorate: WorkflowDecorator = saga_workflow(name, **options)
    return decorate(handler)
