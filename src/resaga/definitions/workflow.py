"""Workflows as Restate's own services: `saga_workflow` and `create_saga_workflow`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Never, Protocol, Unpack, cast, overload

import restate
from typing_extensions import TypeVar

from resaga.contracts import Contract, contract_type
from resaga.definitions.handlers import Body, Handler, KeepsJournal, open_handler
from resaga.definitions.options import (
    SagaOptions,
    WorkflowOptions,
    check_service_name,
    for_definition,
)
from resaga.intercept import Intercept
from resaga.nested import run_inside
from resaga.observe import SagaObserver
from resaga.saga import Saga
from resaga.services import Provider

__all__ = ["SagaWorkflow", "create_saga_workflow", "saga_workflow"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
# `SagaWorkflow[In, Out]` is a workflow of whatever services: Any alone says so.
S_contra = TypeVar("S_contra", contravariant=True, default=Any)
In = TypeVar("In")
Out = TypeVar("Out")
S = TypeVar("S")


class SagaWorkflow(KeepsJournal, restate.Service, Generic[In_contra, Out_co, S_contra]):
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
        definition: Mapping[str, Any],
    ) -> None:
        check_service_name(name, "workflow")
        super().__init__(name, **definition)
        self._definition = definition
        self._options = options
        self._body: Body[In_contra, Out_co] = Body(fn, where=name, gets=["the saga"])
        self.run: Handler[In_contra, Out_co] = open_handler(
            self.handler, self, self._body, options, name="run", workflow=name
        )

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
        return self._bound(services=None, services_from=provider)

    def intercepted(
        self, intercept: Intercept, *, observers: Sequence[SagaObserver] = ()
    ) -> SagaWorkflow[In_contra, Out_co, S_contra]:
        """Give a copy of this workflow whose attempts run through an interceptor.

        This is for tools like `resaga.testing`; see `resaga.intercept`.

        Args:
            intercept: Gives the interceptor of each attempt.
            observers: Told what happens, beside those that this workflow has.

        Returns:
            A workflow of the same name, to be served instead of this one.
        """
        told = (*self._options.observers, *observers)
        return self._bound(intercept=intercept, observers=told)

    def _bound(self, **changes: Any) -> SagaWorkflow[In_contra, Out_co, S_contra]:
        options = replace(self._options, **changes)
        return SagaWorkflow(self.name, self._body.fn, options, self._definition)

    @property
    def contract(self) -> Contract[In_contra, Out_co]:
        """What a caller has to know of it: name, input and output, and none of its code."""
        return Contract(
            self.name, contract_type(self._body.input), contract_type(self._body.output)
        )

    @overload
    def run_as_step(
        self: SagaWorkflow[None, Out, S], saga: Saga[S]
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def run_as_step(
        self, saga: Saga[S_contra], input: In_contra
    ) -> Coroutine[object, Never, Out_co]: ...
    def run_as_step(
        self, saga: Saga[Any], input: object = None
    ) -> Coroutine[object, Never, object]:
        """Run this workflow inside another saga: its compensations join that saga.

        It is as if its body stood in the other's: one invocation, one journal, one rollback,
        newest first over both. It has the other's services, observers and deadline; its own
        ``as_terminal_error`` is asked before the other's (R3). On replay it runs again, as the
        body does.

        Args:
            saga: The saga in hand, also in a branch of ``saga.gather``.
            input: The workflow's input, given as it is.

        Returns:
            What its body returns.

        Raises:
            restate.TerminalError: It failed for good. Nothing is rolled back yet: that happens
                when the saga fails, or the savepoint around it (R5, R18).
            MisuseError: It is called inside an action (R14).

        Example::

            paid = await pay.run_as_step(saga, Payment(order.id, order.amount))
        """
        body = self._body
        return run_inside(
            saga,
            lambda inner: body.call(inner, inner.ctx, input),
            mapper=self._options.as_terminal_error,
            what=f"{self.name}.run_as_step",
            name=self.name,
        )

    def __repr__(self) -> str:
        return f"<SagaWorkflow {self.name}>"


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
    **given: Unpack[WorkflowOptions],
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
        **given: `WorkflowOptions`: ``deadline``, ``as_terminal_error``, ``observers``,
            ``max_result_size``, and what Restate's own definitions take: ``retry_policy``,
            retentions, timeouts, ``ingress_private``, ``description``, ``metadata``.

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
    options, definition = for_definition(
        f"workflow {name}",
        given,
        WorkflowOptions,
        services=services,
        services_from=services_from,
    )

    def decorate(fn: Callable[..., Coroutine[object, Never, object]]) -> object:
        return SagaWorkflow(name, fn, options, definition)

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
