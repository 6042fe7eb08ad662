"""A factory of definitions that share services and options."""

from __future__ import annotations

from typing import Any, Generic, Unpack, cast

from typing_extensions import TypeVar

from resaga.definitions.options import (
    ObjectOptions,
    RestateWorkflowOptions,
    WorkflowOptions,
    for_definition,
)
from resaga.definitions.restate_workflow import (
    ServedRestateWorkflowDecorator,
    saga_restate_workflow,
)
from resaga.definitions.virtual_object import SagaVirtualObject
from resaga.definitions.workflow import ServedWorkflowDecorator, saga_workflow
from resaga.errors import MisuseError
from resaga.services import Provider

__all__ = ["SagaFactory"]

S = TypeVar("S", default=Any)


class SagaFactory(Generic[S]):
    """Makes definitions that have the same services and options.

    Args:
        services: An object that all their sagas share as ``saga.services``.
        services_from: A provider that builds services for each attempt (R28).
        **options: `WorkflowOptions`; what a definition is given itself replaces them.

    Raises:
        MisuseError: For what cannot work (R21).

    Example::

        factory = SagaFactory(services_from=tenant_services, observers=[metrics])


        @factory.workflow("CheckoutWorkflow")
        async def checkout(saga: Saga[Services], order: Order) -> Receipt: ...


        wallet = factory.virtual_object("Wallet")
    """

    def __init__(
        self,
        *,
        services: S | None = None,
        services_from: Provider[Any, S] | None = None,
        **options: Unpack[WorkflowOptions],
    ) -> None:
        # Refuses here what cannot work, not at the first definition.
        for_definition(
            "The SagaFactory",
            options,
            WorkflowOptions,
            services=services,
            services_from=services_from,
        )
        self._services: dict[str, Any] = (
            {"services": services} if services_from is None else {"services_from": services_from}
        )
        self._options = options

    def workflow(self, name: str, **options: Unpack[WorkflowOptions]) -> ServedWorkflowDecorator[S]:
        """What `saga_workflow` gives, with the factory's services and options."""
        return cast(
            "ServedWorkflowDecorator[S]", cast("Any", saga_workflow)(name, **self._all(options))
        )

    def restate_workflow(
        self, name: str, **options: Unpack[RestateWorkflowOptions]
    ) -> ServedRestateWorkflowDecorator[S]:
        """What `saga_restate_workflow` gives, with the factory's services and options."""
        return cast(
            "ServedRestateWorkflowDecorator[S]",
            cast("Any", saga_restate_workflow)(name, **self._all(options)),
        )

    def virtual_object(self, name: str, **options: Unpack[ObjectOptions]) -> SagaVirtualObject[S]:
        """A `SagaVirtualObject` with the factory's services and options."""
        return SagaVirtualObject(name, **self._all(options))

    def _all(self, options: Any) -> dict[str, Any]:
        own = {name for name in options if name in ("services", "services_from")}
        if own:
            raise MisuseError(
                f"A definition of a SagaFactory was given {own.pop()}=...; the factory's are for "
                "all it makes. Make it with saga_workflow or its sisters."
            )
        return {**self._services, **self._options, **options}
