"""Services for sagas: one object for all, or a scope per attempt (dependency injection, R28)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias

from typing_extensions import TypeVar

from resaga.classify import internal_of, terminal_of
from resaga.errors import ProviderError

__all__ = ["Provider", "SagaRequest", "open_services"]

In_co = TypeVar("In_co", covariant=True, default=object)
In = TypeVar("In")
S = TypeVar("S")


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


@asynccontextmanager
async def open_services(
    provider: Provider[Any, object] | None,
    shared: object,
    request: SagaRequest[Any],
    *,
    fresh: bool,
    where: str,
) -> AsyncGenerator[object]:
    """Enter the provider's scope for one attempt, and leave it at the attempt's end (R28).

    The scope sees the exception that leaves the saga, and cannot suppress or replace it.

    Args:
        provider: The ``services_from`` of the definition, if it has one.
        shared: Its ``services``.
        request: What the provider gets.
        fresh: Whether the journal has no entry yet; only then a terminal error of the provider
            ends the saga. Later it would contradict the journal, and the invocation would be
            stuck for ever.
        where: The saga, for messages.

    Raises:
        ProviderError: The provider failed on a later attempt, or closing the scope failed in a
            way that must not end the saga. Restate retries it.
    """
    if provider is None:
        yield shared
        return
    try:
        scope = provider(request)
        services = await scope.__aenter__()
    except Exception as exc:
        if fresh or internal_of(exc) is not None:
            raise
        # No terminal cause: the SDK takes one in the chain for the end of the invocation, and
        # that would contradict the journal.
        raise ProviderError(
            f"The services_from provider of {where} raised {type(exc).__name__} on an attempt "
            "after the saga had begun. Restate tries again."
        ) from (exc if terminal_of(exc, mapped=False) is None else None)
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
