"""Services for sagas: one object for all, or a scope per attempt (dependency injection, R28)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
)
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeGuard, runtime_checkable

from typing_extensions import TypeVar

from resaga.classify import internal_of, terminal_of
from resaga.errors import MisuseError, ProviderError
from resaga.signature import Extras

__all__ = [
    "Provider",
    "SagaRequest",
    "StepScopes",
    "StepServices",
    "injectable",
    "open_services",
    "open_step_services",
    "scopes_of",
]

In_co = TypeVar("In_co", covariant=True, default=object)
In = TypeVar("In")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True, default=object)


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRequest(Generic[In_co]):
    """What a `services_from` provider builds services from.

    All of it is in the journal, so a retry on another machine builds the same services again.

    Attributes:
        input: The workflow's input, decoded.
        headers: The headers of the invocation.
        saga_id: The invocation id.
        key: The key of the object or Restate workflow; ``None`` in a plain one.
    """

    input: In_co
    headers: Mapping[str, str]
    saga_id: str
    key: str | None


Provider: TypeAlias = Callable[[SagaRequest[In]], AbstractAsyncContextManager[S]]
"""A function of the request that gives an async context manager, which yields the services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepServices(Generic[S_co]):
    """What the scope of one action or compensation gives it, see `StepScopes`.

    Attributes:
        services: What it gets as ``step.services``.
        injected: What its further parameters get, by their names.
    """

    services: S_co
    injected: Mapping[str, object] = field(default_factory=dict[str, object])


@runtime_checkable
class StepScopes(Protocol[S]):
    """A ``services_from`` provider that also opens a scope for each action and compensation.

    So that what an action works with, a database session say, is its own, and no branch beside it
    shares it. `resaga.ext.dishka` is one; write another for a container of your own.

    The scope of a plain step is opened and left inside its action, for each attempt of it, and
    what it commits on leaving is done before the step's result is journaled. That of a durable
    step is around its body, on each attempt of the saga, replays included.

    An error of opening it or of leaving it is an ordinary one, also a terminal error: the action
    is tried again, with the same idempotency key (R28). It never ends the step, as what the action
    did may have happened. Where the action itself has failed, its error stands: leaving the scope
    sees it, and cannot suppress or replace it.
    """

    def __call__(self, request: SagaRequest[Any], /) -> AbstractAsyncContextManager[S]:
        """Open the services of one attempt, as any provider does."""
        ...

    def injects(self, annotation: object, /) -> bool:
        """Whether it has something for a parameter with this annotation.

        It is asked before the step begins, so that a parameter nobody fills is found before any
        effect. It has to be quick, and must not look at anything but the annotation.
        """
        ...

    def open_step(
        self, services: S, wanted: Mapping[str, object], /
    ) -> AbstractAsyncContextManager[StepServices[S]]:
        """Open the scope of one action, compensation, durable body or durable compensation.

        Args:
            services: What the provider gave for this attempt.
            wanted: The parameters it is to fill: names, and the annotations that it `injects`.
        """
        ...


def scopes_of(provider: object) -> StepScopes[Any] | None:
    """The provider, if it opens a scope for each action, too."""
    # Asked in each attempt, and asking a protocol takes a while.
    return provider if provider is not None and _opens_scopes(provider) else None


def _opens_scopes(provider: object) -> TypeGuard[StepScopes[Any]]:
    return isinstance(provider, StepScopes)


def injectable(
    scopes: StepScopes[Any] | None, extras: Extras, *, where: str
) -> Mapping[str, object]:
    """Which further parameters of a function the provider fills, with their annotations.

    Raises:
        MisuseError: One without a default is left over (R21).
    """
    if not extras:
        return {}
    annotations = {} if scopes is None else extras.annotations()
    wanted = {
        name: annotation
        for name, annotation in annotations.items()
        if scopes is not None and scopes.injects(annotation)
    }
    for name in extras.required:
        if name not in wanted:
            raise MisuseError(f"{where} asks for the parameter {name!r}, and {_mend(scopes)}")
    return wanted


def _mend(scopes: StepScopes[Any] | None) -> str:
    if scopes is None:
        return (
            "the saga has no provider that injects parameters. Give its definition one, "
            "services_from=dishka_services(container) say, or give the parameter a default."
        )
    return (
        "the saga's provider has nothing for its annotation. Annotate it as the provider wants "
        "it, FromDishka[T] for dishka_services, or give it a default."
    )


@asynccontextmanager
async def open_step_services(
    scopes: StepScopes[Any],
    services: object,
    wanted: Mapping[str, object],
    *,
    where: str,
    io: Callable[[], AbstractContextManager[None]],
    before_leaving: Callable[[], Awaitable[object]],
) -> AsyncGenerator[StepServices[Any]]:
    """Enter the scope of one action, and leave it at the action's end (R28).

    Args:
        scopes: The provider.
        services: What it gave for this attempt.
        wanted: Which parameters it fills, see `injectable`.
        where: The action, for messages.
        io: Entered around the scope's own waiting.
        before_leaving: Awaited before the scope is left: nothing of the action runs any more.

    Raises:
        ProviderError: Entering or leaving it failed. Restate retries it.
    """
    try:
        with io():
            scope = scopes.open_step(services, wanted)
            given = await scope.__aenter__()
    except Exception as exc:
        raise _step_error(f"Opening the services of {where}", exc) from _harmless(exc)
    try:
        yield given
    except BaseException as leaving:
        try:
            await before_leaving()
        finally:
            # The action's own error says what became of its effect, or the attempt is over.
            try:
                with io():
                    await scope.__aexit__(type(leaving), leaving, leaving.__traceback__)
            except Exception as exc:
                leaving.add_note(f"Leaving the services of {where} raised {type(exc).__name__}.")
        raise
    try:
        with io():
            await scope.__aexit__(None, None, None)
    except Exception as exc:
        raise _step_error(f"Leaving the services of {where}", exc) from _harmless(exc)


def _step_error(what: str, exc: Exception) -> ProviderError:
    return ProviderError(
        f"{what} raised {type(exc).__name__}. Restate tries again, with the same idempotency key."
    )


def _harmless(exc: Exception) -> Exception | None:
    """The error as a cause, unless the SDK would take it for the end of the invocation."""
    return exc if terminal_of(exc, mapped=False) is None else None


@asynccontextmanager
async def open_services(
    provider: Provider[Any, object],
    request: SagaRequest[Any],
    *,
    fresh: bool,
    where: str,
) -> AsyncGenerator[object]:
    """Enter the provider's scope for one attempt, and leave it at the attempt's end (R28).

    The scope sees the exception that leaves the saga, and cannot suppress or replace it.

    Args:
        provider: The ``services_from`` of the definition.
        request: What the provider gets.
        fresh: Whether the journal has no entry yet; only then a terminal error of the provider
            ends the saga. Later it would contradict the journal, and the invocation would be
            stuck for ever.
        where: The saga, for messages.

    Raises:
        ProviderError: The provider failed on a later attempt, or closing the scope failed in a
            way that must not end the saga. Restate retries it.
    """
    try:
        scope = provider(request)
        services = await scope.__aenter__()
    except Exception as exc:
        if fresh or internal_of(exc) is not None:
            raise
        # A terminal one would contradict the journal.
        raise ProviderError(
            f"The services_from provider of {where} raised {type(exc).__name__} on an attempt "
            "after the saga had begun. Restate tries again."
        ) from _harmless(exc)
    try:
        yield services
    except BaseException as leaving:
        await _close(scope, leaving, where)
        raise
    else:
        await _close(scope, None, where)


async def _close(
    scope: AbstractAsyncContextManager[Any], leaving: BaseException | None, where: str
) -> None:
    kind = None if leaving is None else type(leaving)
    try:
        await scope.__aexit__(kind, leaving, None if leaving is None else leaving.__traceback__)
    except BaseException as exc:
        if exc is leaving:
            return
        if leaving is not None and internal_of(leaving) is not None:
            # The attempt is over already; what closing says cannot change that.
            return
        if terminal_of(exc, mapped=False) is None:
            raise
        # No cause: the SDK takes a terminal error in the chain for the end of the invocation.
        raise ProviderError(
            f"Closing the services of {where} raised {type(exc).__name__}, a terminal error. The "
            "saga's own end stands, so Restate tries again. Let the scope's exit raise nothing, "
            "or ordinary errors."
        ) from None
