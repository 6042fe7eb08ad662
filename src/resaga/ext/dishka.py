"""Services from a dishka container: a REQUEST scope per attempt, an ACTION scope per action.

Install it with ``pip install 'resaga[dishka]'``.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar, cast

from dishka import (
    AsyncContainer,
    FromDishka,
    Provider,
    Scope,
    from_context,
    provide,  # pyright: ignore[reportUnknownVariableType]
)
from dishka.dependency_source import CompositeDependencySource
from dishka.entities.key import DependencyKey
from dishka.integrations.base import default_parse_dependency

from resaga import MisuseError, SagaRequest, StepServices

__all__ = ["DishkaServices", "FromDishka", "SagaProvider", "dishka_services"]

In = TypeVar("In")


class SagaProvider(Provider):
    """Makes the `SagaRequest` known in REQUEST scope; give it to the container beside your own.

    Factories ask for ``SagaRequest`` or, for a typed input, for ``SagaRequest[Order]``.

    Example::

        class Shop(Provider):
            @provide(scope=Scope.REQUEST)
            def tenant(self, request: SagaRequest) -> Tenant:
                return Tenant(request.headers["x-tenant"])


        container = make_async_container(SagaProvider(), Shop())
    """

    request: CompositeDependencySource = from_context(SagaRequest, scope=Scope.REQUEST)

    @provide(scope=Scope.REQUEST)
    def _typed(self, request: SagaRequest) -> SagaRequest[In]:  # pyright: ignore[reportInvalidTypeVarUse]
        return cast("SagaRequest[In]", request)


class DishkaServices:
    """The provider that `dishka_services` gives: a `resaga.StepScopes`."""

    def __init__(self, container: AsyncContainer) -> None:
        self._container = container

    def __call__(self, request: SagaRequest[Any], /) -> AbstractAsyncContextManager[AsyncContainer]:
        """Open the REQUEST scope of one attempt of a saga."""
        # Branches run side by side, so two of them may ask for the same thing at once.
        return self._container(
            {SagaRequest: request}, lock_factory=asyncio.Lock, scope=Scope.REQUEST
        )

    def injects(self, annotation: object, /) -> bool:
        """Whether a parameter is annotated with ``FromDishka[T]``."""
        return _key_of(annotation) is not None

    @asynccontextmanager
    async def open_step(
        self, services: AsyncContainer, wanted: Mapping[str, object], /
    ) -> AsyncGenerator[StepServices[AsyncContainer]]:
        """Open the ACTION scope of one action, and get from it what its parameters ask for."""
        async with services(lock_factory=asyncio.Lock, scope=Scope.ACTION) as container:
            injected: dict[str, object] = {}
            for name, annotation in wanted.items():
                key = _key_of(annotation)
                assert key is not None, "asked for what it does not inject"
                injected[name] = await container.get(key.type_hint, component=key.component)
            yield StepServices(services=container, injected=injected)


def dishka_services(container: AsyncContainer) -> DishkaServices:
    """A ``services_from`` provider that opens the scopes of a dishka container.

    - Each attempt of a saga has a REQUEST scope, with the `SagaRequest` in its context (see
      `SagaProvider`); its container is ``saga.services``. It is left when the attempt ends,
      whatever ends it.
    - Each action and each compensation has an ACTION scope inside that, on every attempt of it;
      its container is ``step.services``. So actions side by side never share what is made in
      ACTION scope, a database session say.
    - Actions, durable bodies and their compensations get what they ask for as ``FromDishka[T]``:
      parameters after the input or data, or as keyword after the context.

    The ACTION scope is left before the step's result is journaled, so that what a factory commits
    there is done when the step counts as completed. A factory written as generator gets the
    action's exception from its ``yield``, and ``None`` if there was none. If leaving the scope
    fails, or opening it, the action is tried again with the same idempotency key, also if a
    terminal error was raised there; see `resaga.StepScopes`.

    Args:
        container: What ``dishka.make_async_container`` gave. It is yours to close.

    Returns:
        The provider: ``services_from=dishka_services(container)``.

    Raises:
        MisuseError: It is no async container, or it has entered an inner scope already.

    Example::

        @saga_step("Reserve")
        async def reserve(step: StepContext, order: Order, stock: FromDishka[Stock]) -> Reserved:
            return await stock.reserve(order.product, key=step.idempotency_key)


        @saga_workflow("Checkout", services_from=dishka_services(container))
        async def checkout(saga: Saga[AsyncContainer], order: Order) -> Reserved:
            return await reserve(saga, order)
    """
    # What the parameter is annotated with is not what it has to be.
    if not isinstance(cast("object", container), AsyncContainer):
        raise MisuseError(
            f"dishka_services was given {type(container).__name__}. Sagas run in the event loop: "
            "give it what make_async_container(...) returns."
        )
    if container.scope is not Scope.APP:
        raise MisuseError(
            f"dishka_services was given a container in scope {container.scope}. It opens the "
            "REQUEST scope itself, once for each attempt: give it the container of the application."
        )
    return DishkaServices(container)


def _key_of(annotation: object) -> DependencyKey | None:
    parameter = inspect.Parameter("parameter", inspect.Parameter.KEYWORD_ONLY)
    return default_parse_dependency(parameter, annotation)
