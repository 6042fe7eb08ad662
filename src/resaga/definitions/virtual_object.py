"""Virtual objects whose exclusive handlers are sagas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Literal, Never, Protocol, Unpack, cast, overload

import restate
from restate.context import ObjectContext, ObjectSharedContext
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
    HandlerOptions,
    ObjectOptions,
    SharedHandlerOptions,
    check_service_name,
    for_definition,
    for_handler,
    for_shared_handler,
)
from resaga.errors import MisuseError
from resaga.intercept import Intercept
from resaga.observe import SagaObserver
from resaga.saga import Saga
from resaga.services import Provider

__all__ = ["SagaVirtualObject", "create_saga_virtual_object"]

# An object without services of its own may have sagas that ask for any, see `with_services`.
S_co = TypeVar("S_co", covariant=True, default=Any)
In = TypeVar("In")
Out = TypeVar("Out")
S = TypeVar("S")


class ExclusiveDecorator(Protocol[S_co]):
    """What `SagaVirtualObject.handler` returns: takes the body of a saga, gives the handler."""

    @overload
    def __call__(
        self, fn: Callable[[Saga[S_co], ObjectContext, In], Coroutine[object, Never, Out]], /
    ) -> Handler[In, Out]: ...
    @overload
    def __call__(
        self, fn: Callable[[Saga[S_co], ObjectContext], Coroutine[object, Never, Out]], /
    ) -> Handler[None, Out]: ...


class SharedDecorator(Protocol):
    """What ``handler(kind="shared")`` returns: takes a function without a saga."""

    @overload
    def __call__(
        self, fn: Callable[[ObjectSharedContext, In], Coroutine[object, Never, Out]], /
    ) -> Handler[In, Out]: ...
    @overload
    def __call__(
        self, fn: Callable[[ObjectSharedContext], Coroutine[object, Never, Out]], /
    ) -> Handler[None, Out]: ...


class ContractExclusiveDecorator(Protocol[In, Out, S_co]):
    """What ``handler(Contract.call)`` returns: takes the body of a saga that keeps it."""

    @overload
    def __call__(
        self, fn: Callable[[Saga[S_co], ObjectContext, In], Coroutine[object, Never, Out]], /
    ) -> Handler[In, Out]: ...
    @overload
    def __call__(
        self: ContractExclusiveDecorator[None, Out, S_co],
        fn: Callable[[Saga[S_co], ObjectContext], Coroutine[object, Never, Out]],
        /,
    ) -> Handler[None, Out]: ...


class ContractSharedDecorator(Protocol[In, Out]):
    """What ``handler(Contract.call, kind="shared")`` returns: takes a function that keeps it."""

    @overload
    def __call__(
        self, fn: Callable[[ObjectSharedContext, In], Coroutine[object, Never, Out]], /
    ) -> Handler[In, Out]: ...
    @overload
    def __call__(
        self: ContractSharedDecorator[None, Out],
        fn: Callable[[ObjectSharedContext], Coroutine[object, Never, Out]],
        /,
    ) -> Handler[None, Out]: ...


class SagaVirtualObject(KeepsJournal, restate.VirtualObject, Generic[S_co]):
    """A virtual object whose exclusive handlers are sagas, one at a time per key.

    It is a `restate.VirtualObject`: give it to ``restate.app([...])``, and whatever works with
    those works with it. A saga's changes through ``saga.state`` are restored when it rolls back.

    Args:
        name: Name of the object.
        services: An object that all its sagas share as ``saga.services``.
        services_from: A function of a `SagaRequest`, which has the key, that gives an async
            context manager, entered once per attempt; what it yields are the services (R28).
        **options: `ObjectOptions`: those of `saga_workflow`, and ``state_preload``.

    Raises:
        MisuseError: For what cannot work (R21).

    Example::

        wallet = SagaVirtualObject("Wallet")


        @wallet.handler()
        async def transfer(saga: Saga, ctx: ObjectContext, order: Transfer) -> TransferResult:
            balance = await saga.state.get("balance", int) or 0
            await saga.state.set("balance", balance - order.amount)
            paid = await pay_out(saga, order)
            return TransferResult(paid.id)


        @wallet.handler("getBalance", kind="shared")
        async def get_balance(ctx: ObjectSharedContext) -> int:
            return await ctx.get("balance", type_hint=int) or 0
    """

    def __init__(
        self,
        name: str,
        *,
        services: S_co | None = None,
        services_from: Provider[Any, S_co] | None = None,
        **options: Unpack[ObjectOptions],
    ) -> None:
        check_service_name(name, "virtual object")
        self._options, definition = for_definition(
            f"virtual object {name}",
            options,
            ObjectOptions,
            services=services,
            services_from=services_from,
        )
        cast("Any", super()).__init__(name, **definition)
        self._made_of = options
        self._added: list[Callable[[SagaVirtualObject[Any]], object]] = []

    @overload  # type: ignore[override]  # It gives a `Handler`, where the SDK gives the function.
    def handler(
        self,
        name: str | None = None,
        *,
        kind: Literal["exclusive"] = "exclusive",
        **options: Unpack[HandlerOptions],
    ) -> ExclusiveDecorator[S_co]: ...
    @overload
    def handler(
        self,
        name: str | None = None,
        *,
        kind: Literal["shared"],
        **options: Unpack[SharedHandlerOptions],
    ) -> SharedDecorator: ...
    @overload
    def handler(
        self,
        name: Call[In, Out],
        *,
        kind: Literal["exclusive"] = "exclusive",
        **options: Unpack[HandlerOptions],
    ) -> ContractExclusiveDecorator[In, Out, S_co]: ...
    @overload
    def handler(
        self,
        name: Call[In, Out],
        *,
        kind: Literal["shared"],
        **options: Unpack[SharedHandlerOptions],
    ) -> ContractSharedDecorator[In, Out]: ...
    def handler(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str | Call[Any, Any] | None = None,
        *,
        kind: Literal["exclusive", "shared"] = "exclusive",
        **options: Any,
    ) -> object:
        """Make a handler of an ``async def``.

        An exclusive one is a saga: it gets a `Saga`, the Restate context and at most one input,
        and runs alone on its key. A shared one runs beside others and has no saga: it gets the
        context and at most one input, and may read the state. Inputs are validated (R22), and
        errors are mapped (R3), in both.

        Args:
            name: Its name on the wire, by default the function's; or a contract's call, which
                the function is checked against.
            kind: ``exclusive`` or ``shared``.
            **options: `HandlerOptions`; what is given there replaces the object's. A shared one
                takes `SharedHandlerOptions`.

        Raises:
            MisuseError: At definition, for what cannot work, or does not keep the contract.
        """
        check_handler_name(name)
        if kind not in ("exclusive", "shared"):
            raise MisuseError(
                f"A handler of {self.name} has kind={kind!r}. Give 'exclusive', for a saga, or "
                "'shared'."
            )

        def decorate(fn: Callable[..., Awaitable[Any]]) -> Handler[Any, Any]:
            self._added.append(
                lambda copy: cast("Any", copy.handler)(name, kind=kind, **options)(fn)
            )
            return self._add(fn, name, kind, options)

        return decorate

    def _add(
        self,
        fn: Callable[..., Awaitable[Any]],
        name: str | Call[Any, Any] | None,
        kind: Literal["exclusive", "shared"],
        options: Mapping[str, Any],
    ) -> Handler[Any, Any]:
        wire = wire_name(name, fn)
        where = f"{self.name}/{wire}"
        shared = kind == "shared"
        body: Body[Any, Any] = Body(
            fn,
            where=where,
            gets=["the Restate context"] if shared else ["the saga", "the Restate context"],
        )
        check_contract(name, self.name, body)
        register = super().handler
        if shared:
            own, rest = for_shared_handler(where, options, self._options)
            return open_shared_handler(
                register, self, body, own.as_terminal_error, name=wire, kind="shared", **rest
            )
        own, rest = for_handler(where, options, self._options)
        return open_handler(
            register, self, body, own, name=wire, workflow=where, kind="exclusive", **rest
        )

    def with_services(self, provider: Provider[Any, S]) -> SagaVirtualObject[S]:
        """Give a copy of this object, with the handlers it has now, with services of its own.

        Args:
            provider: What the object takes as ``services_from``; it replaces services that this
                object has.

        Returns:
            An object of the same name, to be served instead of this one.
        """
        return self._bound(services=None, services_from=provider)

    def intercepted(
        self, intercept: Intercept, *, observers: Sequence[SagaObserver] = ()
    ) -> SagaVirtualObject[S_co]:
        """Give a copy whose attempts run through an interceptor; see `SagaWorkflow.intercepted`."""
        told = (*self._options.observers, *observers)
        return self._bound(intercept=intercept, observers=told)

    def _bound(self, **changes: Any) -> SagaVirtualObject[Any]:
        copy: SagaVirtualObject[Any] = SagaVirtualObject(self.name, **self._made_of)
        copy._options = replace(self._options, **changes)
        for add_to in self._added:
            add_to(copy)
        return copy

    def __repr__(self) -> str:
        return f"<SagaVirtualObject {self.name}>"


@overload
def create_saga_virtual_object(
    name: str,
    handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    shared_handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    *,
    services: None = None,
    services_from: None = None,
    **options: Unpack[ObjectOptions],
) -> SagaVirtualObject: ...
@overload
def create_saga_virtual_object(
    name: str,
    handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    shared_handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    *,
    services: S | None = None,
    services_from: Provider[Any, S] | None = None,
    **options: Unpack[ObjectOptions],
) -> SagaVirtualObject[S]: ...
def create_saga_virtual_object(
    name: str,
    handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    shared_handlers: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] | None = None,
    *,
    services: S | None = None,
    services_from: Provider[Any, S] | None = None,
    **options: Unpack[ObjectOptions],
) -> SagaVirtualObject[S]:
    """Make a virtual object of functions, without decorators; see `SagaVirtualObject`.

    Args:
        name: Name of the object.
        handlers: The bodies of its sagas, by their names on the wire.
        shared_handlers: Its shared handlers, likewise.
        services: An object that all its sagas share as ``saga.services``.
        services_from: A provider that builds services for each attempt (R28).
        **options: `ObjectOptions`.

    Returns:
        The object.

    Raises:
        MisuseError: For what cannot work (R21).

    Example::

        wallet = create_saga_virtual_object(
            "Wallet", {"transfer": transfer}, {"getBalance": get_balance}
        )
    """
    made: SagaVirtualObject[S] = SagaVirtualObject(
        name, services=services, services_from=services_from, **options
    )
    for wire, fn in (handlers or {}).items():
        made.handler(wire)(fn)
    for wire, fn in (shared_handlers or {}).items():
        made.handler(wire, kind="shared")(fn)
    return made
