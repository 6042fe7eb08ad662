"""The options of definitions and their handlers: resaga's own, and what the SDK is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict

from restate import InvocationRetryPolicy

from resaga.classify import ErrorMapper, check_mapper
from resaga.errors import MisuseError
from resaga.intercept import Intercept
from resaga.observe import SagaObserver
from resaga.policy import (
    DEFAULT_MAX_RESULT_SIZE,
    check_result_size,
    positive,
    saga_retry_policy,
)
from resaga.saga import check_name
from resaga.services import Provider

__all__ = [
    "HandlerOptions",
    "ObjectOptions",
    "RestateWorkflowOptions",
    "SagaOptions",
    "SharedHandlerOptions",
    "WorkflowOptions",
    "check_service_name",
    "for_definition",
    "for_handler",
    "for_shared_handler",
]

ContextManagers: TypeAlias = Sequence[Callable[[], AbstractAsyncContextManager[None]]]

_SERVICE_NAME = re.compile(r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*")
"""The names of services that Restate's discovery admits: they stand in URLs."""

_OWN = ("as_terminal_error", "observers", "max_result_size", "deadline")
"""The options that are resaga's own; the SDK does not know them."""


class SharedHandlerOptions(TypedDict, total=False):
    """The options of a handler without a saga: a shared one, a signal, a query.

    Attributes:
        as_terminal_error: Which ordinary errors end the invocation, beside the registered ones;
            instead of the definition's (R3).
        metadata: Shown by Restate's admin API.
        inactivity_timeout: How long an attempt may be idle before Restate suspends it.
        abort_timeout: How long after that it may go on before its connection is cut.
        journal_retention: How long the journal is kept after the end.
        idempotency_retention: How long results of idempotent requests are kept.
        state_preload: Which keys of the state come with each attempt: all, none, or these.
        ingress_private: Whether only other handlers may call it.
        retry_policy: How Restate retries attempts; it always pauses in the end.
        invocation_context_managers: Entered around each attempt, by the SDK.
    """

    as_terminal_error: ErrorMapper | None
    metadata: Mapping[str, str] | None
    inactivity_timeout: timedelta | None
    abort_timeout: timedelta | None
    journal_retention: timedelta | None
    idempotency_retention: timedelta | None
    state_preload: bool | Sequence[str] | None
    ingress_private: bool | None
    retry_policy: InvocationRetryPolicy | None
    invocation_context_managers: ContextManagers | None


class HandlerOptions(SharedHandlerOptions, total=False):
    """The options of a handler with a saga; what is given replaces the definition's.

    Attributes:
        observers: Told what happens (R25).
        max_result_size: Bytes that one step may leave in the journal (R15).
        deadline: Bounds the forward part (R20).
    """

    observers: Sequence[SagaObserver]
    max_result_size: int
    deadline: timedelta | None


class WorkflowOptions(TypedDict, total=False):
    """The options of `saga_workflow` beside ``services`` and ``services_from``.

    Attributes:
        as_terminal_error: Which ordinary errors end the saga, beside the registered ones (R3).
        observers: Told what happens, see `SagaObserver` (R25).
        max_result_size: Bytes that one step may leave in the journal, default 8 MiB (R15).
        deadline: Bounds the forward part, from the first step on; none by default (R20).
        retry_policy: How Restate retries attempts; it always pauses in the end, and never
            kills, as a killed saga is not rolled back (R21).
        description: Shown by Restate's UI and its OpenAPI documents.
        metadata: Likewise.
        inactivity_timeout: How long an attempt may be idle before Restate suspends it.
        abort_timeout: How long after that it may go on before its connection is cut.
        journal_retention: How long the journal is kept after the end.
        idempotency_retention: How long results of idempotent requests are kept.
        ingress_private: Whether only other handlers may call it.
        invocation_context_managers: Entered around each attempt, by the SDK.
    """

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
    invocation_context_managers: ContextManagers | None


class ObjectOptions(WorkflowOptions, total=False):
    """The options of `SagaVirtualObject`: those of a workflow, and one for its state.

    Attributes:
        state_preload: Which keys of the state come with each attempt: all (the default), none,
            or these. Lists need restate-server 1.8.
    """

    state_preload: bool | Sequence[str] | None


class RestateWorkflowOptions(ObjectOptions, total=False):
    """The options of `saga_restate_workflow`: those of an object, and one for its result.

    Attributes:
        workflow_retention: How long its result, promises and state are kept after the end; the
            server's default is a day.
    """

    workflow_retention: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaOptions:
    """The options of a definition that are resaga's own.

    Attributes:
        services: An object shared by all its sagas.
        services_from: A provider that builds services for each attempt (R28).
        as_terminal_error: The definition's own mapper (R3).
        observers: Who is told what happens (R25).
        max_result_size: Bytes that one step may leave in the journal (R15).
        deadline: Bounds the forward part (R20).
        intercept: Gives what an attempt is run through, for tools.
    """

    services: object = None
    services_from: Provider[Any, object] | None = None
    as_terminal_error: ErrorMapper | None = None
    observers: Sequence[SagaObserver] = ()
    max_result_size: int = DEFAULT_MAX_RESULT_SIZE
    deadline: timedelta | None = None
    intercept: Intercept | None = None


def for_definition(
    where: str,
    given: Mapping[str, Any],
    known: type,
    *,
    services: object,
    services_from: Provider[Any, object] | None,
) -> tuple[SagaOptions, dict[str, Any]]:
    """Take a definition's options apart.

    Args:
        where: The definition, for messages.
        given: What the user gave.
        known: The `TypedDict` of what can be given.
        services: The user's ``services``.
        services_from: The user's ``services_from``.

    Returns:
        resaga's own options, and the keywords of the SDK's definition.

    Raises:
        MisuseError: An option cannot work.
        TypeError: There is no such option.
    """
    if services is not None and services_from is not None:
        raise MisuseError(
            f"{where} has both services= and services_from=. Give the one object all sagas "
            "share, or the provider that builds them for each attempt."
        )
    _check_known(where, given, known)
    options = SagaOptions(services=services, services_from=services_from)
    rest = _for_sdk(where, given)
    # For all its handlers, also if none is given: a saga that is killed is not rolled back (R21).
    rest.setdefault("invocation_retry_policy", saga_retry_policy(None, where=where))
    return _own(where, options, given), rest


def for_handler(
    where: str, given: Mapping[str, Any], definition: SagaOptions
) -> tuple[SagaOptions, dict[str, Any]]:
    """Take a saga handler's options apart: resaga's own, and those of the SDK's handler."""
    _check_known(where, given, HandlerOptions)
    return _own(where, definition, given), _for_sdk(where, given)


def for_shared_handler(
    where: str, given: Mapping[str, Any], definition: SagaOptions
) -> tuple[SagaOptions, dict[str, Any]]:
    """Take the options of a handler without a saga apart."""
    needless = sorted(set(given) & (set(_OWN) - {"as_terminal_error"}))
    if needless:
        raise MisuseError(
            f"{where} has {needless[0]}=..., and no saga that it could apply to: shared handlers, "
            "signals and queries run none. Leave it out."
        )
    _check_known(where, given, SharedHandlerOptions)
    return _own(where, definition, given), _for_sdk(where, given)


def check_service_name(name: object, what: str) -> None:
    """Refuse a name that Restate's discovery does not admit (R21)."""
    check_name(name, what)
    if isinstance(name, str) and _SERVICE_NAME.fullmatch(name) is None:
        raise MisuseError(
            f"Restate admits no service named {name!r}: the name stands in URLs. Use letters, "
            "digits, '.', '-' and '_', beginning with a letter."
        )


def _check_known(where: str, given: Mapping[str, Any], known: type) -> None:
    names = known.__annotations__
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        raise TypeError(f"{where} has no option {unknown!r}. It takes {', '.join(sorted(names))}.")


def _own(where: str, options: SagaOptions, given: Mapping[str, Any]) -> SagaOptions:
    own = {name: given[name] for name in _OWN if name in given}
    positive(own.get("deadline"), f"deadline of {where}")
    check_mapper(own.get("as_terminal_error"), f"as_terminal_error of {where}")
    if "max_result_size" in own:
        check_result_size(own["max_result_size"], f"max_result_size of {where}")
    if "observers" in own:
        own["observers"] = tuple(own["observers"])
    return replace(options, **own)


def _for_sdk(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in given.items() if name not in _OWN and value is not None}
    policy = rest.pop("retry_policy", None)
    if policy is not None:
        rest["invocation_retry_policy"] = saga_retry_policy(policy, where=where)
    if "metadata" in rest:
        rest["metadata"] = dict(rest["metadata"])
    if isinstance(rest.get("state_preload"), str):
        # For the type checkers, text is a sequence of texts: its letters.
        key = rest["state_preload"]
        raise MisuseError(f"{where} has state_preload={key!r}. Give a list of keys: [{key!r}].")
    for name in ("state_preload", "invocation_context_managers"):
        if not isinstance(rest.get(name), (bool, type(None))):
            rest[name] = list(rest[name])
    return rest
