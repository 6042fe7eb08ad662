"""Restate workflows with a saga: keyed, run once, with signals and queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Never, Protocol, Unpack, cast, overload

import restate
from restate.context import WorkflowContext, WorkflowSharedContext
from typing_extensions import TypeVar

from resaga.contracts import Call
from resaga.definitions.handlers import (
    Body,
    Handler,
    KeepsJournal,
    open_handler,
    open_shared_handler,
)
from resaga.definitions.implementation import check_contract, check_handler_name, wire_name
from resaga.definitions.options import (
    RestateWorkflowOptions,
    SagaOptions,
    SharedHandlerOptions,
    check_service_name,
    for_definition,
    for_shared_handler,
)
from resaga.errors import MisuseError
from resaga.intercept import Intercept
from resaga.nested import run_inside
from resaga.observe import SagaObserver
from resaga.saga import Saga
from resaga.services import Provider

__all__ = ["SagaRestateWorkflow", "create_saga_restate_workflow", "saga_restate_workflow"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
# `SagaRestateWorkflow[In, Out]` is a workflow of whatever services: Any alone says so.
S_contra = TypeVar("S_contra", contravariant=True, default=Any)
In = TypeVar("In")
Out = TypeVar("Out")
S = TypeVar("S")


class SignalDecorator(Protocol):
    """What `SagaRestateWorkflow.handler` returns: takes a function, gives the handler."""

    @overload
    def __call__(
        self, fn: Callable[[WorkflowSharedContext, In], Coroutine[object, Never, Out]], /
    ) -> Handler[In, Out]: ...
    @overload
    def __call__(
        self, fn: Callable[[WorkflowSharedContext], Coroutine[object, Never, Out]], /
    ) -> Handler[None, Out]: ...


class ContractSignalDecorator(Protocol[In, Out]):
    """What `SagaRestateWorkflow.handler` returns for a contract's call: takes what keeps it."""

    @overload
    def __call__(
        self, fn: Callable[[WorkflowSharedContext, In], Coroutine[object, Never, Out]], /
    ) -> Handler[In, Out]: ...
    @overload
    def __call__(
        self: ContractSignalDecorator[None, Out],
        fn: Callable[[WorkflowSharedContext], Coroutine[object, Never, Out]],
        /,
    ) -> Handler[None, Out]: ...


class SagaRestateWorkflow(KeepsJournal, restate.Workflow, Generic[In_contra, Out_co, S_contra]):
    """A Restate workflow whose main handler ``run`` is a saga. Made by `saga_restate_workflow`.

    It is a `restate.Workflow`: keyed, ``run`` runs once per key, and its other handlers, signals
    and queries, run while it waits.

    Attributes:
        run: Its main handler.
    """

    def __init__(
        self,
        name: str,
        fn: Callable[..., Awaitable[Any]],
        options: SagaOptions,
        definition: Mapping[str, Any],
    ) -> None:
        check_service_name(name, "workflow")
        rest = dict(definition)
        retention = rest.pop("workflow_retention", None)
        cast("Any", super()).__init__(name, **rest)
        self._definition = definition
        self._options = options
        self._signals: list[Callable[[SagaRestateWorkflow[Any, Any, Any]], object]] = []
        self._body: Body[In_contra, Out_co] = Body(
            fn, where=name, gets=["the saga", "the Restate context"]
        )
        self.run: Handler[In_contra, Out_co] = open_handler(
            super().main,
            self,
            self._body,
            options,
            name="run",
            workflow=name,
            workflow_retention=retention,
        )

    def main(self, *_args: Any, **_kwargs: Any) -> Never:
        """Refuse a second main handler: ``run`` is it.

        Raises:
            MisuseError: Always.
        """
        raise MisuseError(
            f"{self.name} has its main handler already: the function that saga_restate_workflow "
            f"was given. Signals and queries are made with @{self.name}.handler()."
        )

    @overload  # type: ignore[override]  # It gives a `Handler`, where the SDK gives the function.
    def handler(
        self, name: str | None = None, **options: Unpack[SharedHandlerOptions]
    ) -> SignalDecorator: ...
    @overload
    def handler(
        self, name: Call[In, Out], **options: Unpack[SharedHandlerOptions]
    ) -> ContractSignalDecorator[In, Out]: ...
    def handler(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str | Call[Any, Any] | None = None,
        **options: Unpack[SharedHandlerOptions],
    ) -> SignalDecorator | ContractSignalDecorator[Any, Any]:
        """Make a signal or a query of an ``async def`` of the context and at most one input.

        It runs beside ``run``, any number of times, and talks to it through durable promises:
        ``await ctx.promise("approval").resolve(approved)``. It has no saga; its input is
        validated (R22), and its errors are mapped, as a saga's are (R3).

        Args:
            name: Its name on the wire, by default the function's; or a contract's call, which
                the function is checked against.
            **options: `SharedHandlerOptions`, Restate's own beside ``as_terminal_error``.

        Raises:
            MisuseError: At definition, for what cannot work, or does not keep the contract.

        Example::

            @approval.handler()
            async def approve(ctx: WorkflowSharedContext, approved: bool) -> None:
                await ctx.promise("approval", type_hint=bool).resolve(approved)
        """
        check_handler_name(name)

        def decorate(fn: Callable[..., Awaitable[Any]]) -> Handler[Any, Any]:
            self._signals.append(lambda copy: cast("Any", copy.handler)(name, **options)(fn))
            wire = wire_name(name, fn)
            where = f"{self.name}.{wire}"
            own, rest = for_shared_handler(where, options, self._options)
            body: Body[Any, Any] = Body(fn, where=where, gets=["the Restate context"])
            check_contract(name, self.name, body)
            return open_shared_handler(
                super(SagaRestateWorkflow, self).handler,
                self,
                body,
                own.as_terminal_error,
                name=wire,
                **rest,
            )

        return cast("SignalDecorator", decorate)

    def with_services(
        self, provider: Provider[In_contra, S_contra]
    ) -> SagaRestateWorkflow[In_contra, Out_co, S_contra]:
        """Give a copy of this workflow whose services come from ``provider``.

        Args:
            provider: What `saga_restate_workflow` takes as ``services_from``; it replaces
                services that this workflow has.

        Returns:
            A workflow of the same name, with the same signals and queries, to be served instead
            of this one.
        """
        return self._bound(services=None, services_from=provider)

    def intercepted(
        self, intercept: Intercept, *, observers: Sequence[SagaObserver] = ()
    ) -> SagaRestateWorkflow[In_contra, Out_co, S_contra]:
        """Give a copy whose attempts run through an interceptor; see `SagaWorkflow.intercepted`."""
        told = (*self._options.observers, *observers)
        return self._bound(intercept=intercept, observers=told)

    def _bound(self, **changes: Any) -> SagaRestateWorkflow[In_contra, Out_co, S_contra]:
        options = replace(self._options, **changes)
        copy: SagaRestateWorkflow[In_contra, Out_co, S_contra]
        copy = SagaRestateWorkflow(self.name, self._body.fn, options, self._definition)
        for add_to in self._signals:
            add_to(copy)
        return copy

    @overload
    def run_as_step(
        self: SagaRestateWorkflow[None, Out, S], saga: Saga[S]
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def run_as_step(
        self, saga: Saga[S_contra], input: In_contra
    ) -> Coroutine[object, Never, Out_co]: ...
    def run_as_step(
        self, saga: Saga[Any], input: object = None
    ) -> Coroutine[object, Never, object]:
        """Run this workflow inside the saga of another Restate workflow; see `SagaWorkflow`.

        Its promises are those of the workflow that it runs in, by the same names, and so are
        its state and its key: signals come in through that workflow's own handlers.

        Args:
            saga: The saga in hand, of a Restate workflow.
            input: The workflow's input, given as it is.

        Returns:
            What its body returns.

        Raises:
            restate.TerminalError: It failed for good (R5, R18).
            MisuseError: The saga is not a Restate workflow's, so there are no promises; or it
                is called inside an action (R14, R21).

        Example::

            decision = await approval.run_as_step(saga, Request(order.id))
        """
        return self._run_as_step(saga, input)

    async def _run_as_step(self, saga: Saga[Any], input: object) -> object:
        def body(inner: Saga[Any]) -> Awaitable[object]:
            inner._require_promises(f"{self.name}.run_as_step")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            return self._body.call(inner, inner.ctx, input)

        return await run_inside(
            saga,
            body,
            mapper=self._options.as_terminal_error,
            what=f"{self.name}.run_as_step",
            name=self.name,
        )

    def __repr__(self) -> str:
        return f"<SagaRestateWorkflow {self.name}>"


class RestateWorkflowDecorator(Protocol):
    """What `saga_restate_workflow` returns: takes the body, gives the workflow.

    Without services of its own a workflow may ask for any: it gets them from `with_services`.
    """

    @overload
    def __call__(
        self, fn: Callable[[Saga[S], WorkflowContext, In], Coroutine[object, Never, Out]], /
    ) -> SagaRestateWorkflow[In, Out, S]: ...
    @overload
    def __call__(
        self, fn: Callable[[Saga[S], WorkflowContext], Coroutine[object, Never, Out]], /
    ) -> SagaRestateWorkflow[None, Out, S]: ...


class ServedRestateWorkflowDecorator(Protocol[S]):
    """What `saga_restate_workflow` returns if given services: the body may ask for those only."""

    @overload
    def __call__(
        self, fn: Callable[[Saga[S], WorkflowContext, In], Coroutine[object, Never, Out]], /
    ) -> SagaRestateWorkflow[In, Out, S]: ...
    @overload
    def __call__(
        self, fn: Callable[[Saga[S], WorkflowContext], Coroutine[object, Never, Out]], /
    ) -> SagaRestateWorkflow[None, Out, S]: ...


@overload
def saga_restate_workflow(
    name: str,
    *,
    services: None = None,
    services_from: None = None,
    **options: Unpack[RestateWorkflowOptions],
) -> RestateWorkflowDecorator: ...
@overload
def saga_restate_workflow(
    name: str, *, services: S, **options: Unpack[RestateWorkflowOptions]
) -> ServedRestateWorkflowDecorator[S]: ...
@overload
def saga_restate_workflow(
    name: str, *, services_from: Provider[Any, S], **options: Unpack[RestateWorkflowOptions]
) -> ServedRestateWorkflowDecorator[S]: ...
def saga_restate_workflow(
    name: str,
    *,
    services: object = None,
    services_from: Provider[Any, object] | None = None,
    **given: Unpack[RestateWorkflowOptions],
) -> RestateWorkflowDecorator | ServedRestateWorkflowDecorator[Any]:
    """Make a Restate workflow of an ``async def`` of a `Saga`, its context and one input.

    Its main handler ``run`` runs once per key. While it waits for a durable promise, signals and
    queries (`SagaRestateWorkflow.handler`) reach it. When the body ends in a terminal error, what
    its steps did is undone in reverse order, and whoever attached gets that error (R1, R10).
    Every attempt runs the body again; what the journal holds is not run again.

    Args:
        name: Name of the workflow.
        services: An object that all its sagas share as ``saga.services``.
        services_from: A function of a `SagaRequest`, which has the key, that gives an async
            context manager, entered once per attempt; what it yields are the services (R28).
        **given: `RestateWorkflowOptions`: those of `saga_workflow`, ``state_preload`` and
            ``workflow_retention``.

    Raises:
        MisuseError: At definition, for what cannot work (R21).

    Example::

        @saga_restate_workflow("ApprovalWorkflow")
        async def approval(saga: Saga, ctx: WorkflowContext, request: Request) -> Decision:
            await hold_budget(saga, request)
            if not await ctx.promise("approval", type_hint=bool).value():
                raise TerminalError("rejected", 403)
            return Decision(request.id)


        @approval.handler()
        async def approve(ctx: WorkflowSharedContext, approved: bool) -> None:
            await ctx.promise("approval", type_hint=bool).resolve(approved)
    """
    options, definition = for_definition(
        f"workflow {name}",
        given,
        RestateWorkflowOptions,
        services=services,
        services_from=services_from,
    )

    def decorate(fn: Callable[..., Coroutine[object, Never, object]]) -> object:
        return SagaRestateWorkflow(name, fn, options, definition)

    return cast("RestateWorkflowDecorator", decorate)


@overload
def create_saga_restate_workflow(
    name: str,
    run: Callable[[Saga[S], WorkflowContext, In], Coroutine[object, Never, Out]],
    handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    *,
    services: S | None = None,
    services_from: Provider[In, S] | None = None,
    **options: Unpack[RestateWorkflowOptions],
) -> SagaRestateWorkflow[In, Out, S]: ...
@overload
def create_saga_restate_workflow(
    name: str,
    run: Callable[[Saga[S], WorkflowContext], Coroutine[object, Never, Out]],
    handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    *,
    services: S | None = None,
    services_from: Provider[None, S] | None = None,
    **options: Unpack[RestateWorkflowOptions],
) -> SagaRestateWorkflow[None, Out, S]: ...
def create_saga_restate_workflow(
    name: str,
    run: Callable[..., Coroutine[object, Never, Any]],
    handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    **options: Any,
) -> SagaRestateWorkflow[Any, Any, Any]:
    """Make a Restate workflow of functions, without decorators; see `saga_restate_workflow`.

    Args:
        name: Name of the workflow.
        run: Its body.
        handlers: Its signals and queries, by their names on the wire.
        **options: The keywords of `saga_restate_workflow`.

    Returns:
        The workflow.

    Raises:
        MisuseError: For what cannot work (R21).

    Example::

        approval = create_saga_restate_workflow(
            "ApprovalWorkflow", run_approval, {"approve": approve, "status": status}
        )
    """
    decorate: RestateWorkflowDecorator = saga_restate_workflow(name, **options)
    workflow: SagaRestateWorkflow[Any, Any, Any] = decorate(run)
    for wire, fn in (handlers or {}).items():
        workflow.handler(wire)(fn)
    return workflow
