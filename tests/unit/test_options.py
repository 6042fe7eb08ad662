"""The options of definitions and handlers: what reaches the SDK, what replaces what, bad input."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
import restate
from restate import InvocationRetryPolicy, TerminalError
from restate.context import (
    ObjectContext,
    ObjectSharedContext,
    WorkflowContext,
    WorkflowSharedContext,
)
from restate.discovery import compute_discovery

from resaga import (
    MisuseError,
    Saga,
    SagaFactory,
    SagaObserver,
    SagaRequest,
    SagaVirtualObject,
    create_saga_restate_workflow,
    create_saga_virtual_object,
    create_saga_workflow,
    saga_restate_workflow,
    saga_workflow,
)
from resaga.definitions.options import SagaOptions, for_handler, for_shared_handler

HOUR = timedelta(hours=1)
KILL = InvocationRetryPolicy(on_max_attempts="kill")


async def plain(saga: Saga, number: int) -> None: ...


async def keyed(saga: Saga, ctx: WorkflowContext, number: int) -> None: ...


async def signal(ctx: WorkflowSharedContext) -> None: ...


async def exclusive(saga: Saga, ctx: ObjectContext, number: int) -> None: ...


async def shared(ctx: ObjectSharedContext) -> None: ...


@asynccontextmanager
async def provide(request: SagaRequest) -> AsyncGenerator[int]:
    yield 7


def loose(fn: object) -> Any:
    """A function to be called as the checkers would not let it."""
    return fn


def workflow(**options: Any) -> Any:
    return loose(saga_workflow)("Name", **options)(plain)


def created_workflow(**options: Any) -> Any:
    return loose(create_saga_workflow)("Name", plain, **options)


def keyed_workflow(**options: Any) -> Any:
    return loose(saga_restate_workflow)("Name", **options)(keyed)


def created_keyed(**options: Any) -> Any:
    return loose(create_saga_restate_workflow)("Name", keyed, {"signal": signal}, **options)


def virtual_object(**options: Any) -> Any:
    return loose(SagaVirtualObject)("Name", **options)


def created_object(**options: Any) -> Any:
    handlers, shared_handlers = {"exclusive": exclusive}, {"shared": shared}
    return loose(create_saga_virtual_object)("Name", handlers, shared_handlers, **options)


def of_a_factory(**options: Any) -> Any:
    return loose(SagaFactory)(**options).workflow("Name")(plain)


def keyed_of_a_factory(**options: Any) -> Any:
    return loose(SagaFactory)(**options).restate_workflow("Name")(keyed)


def object_of_a_factory(**options: Any) -> Any:
    return loose(SagaFactory)(**options).virtual_object("Name")


def exclusive_handler(**options: Any) -> Any:
    return loose(SagaVirtualObject("Name")).handler(**options)(exclusive)


def shared_handler(**options: Any) -> Any:
    return loose(SagaVirtualObject("Name")).handler(kind="shared", **options)(shared)


def signal_handler(**options: Any) -> Any:
    return loose(saga_restate_workflow("Name")(keyed)).handler(**options)(signal)


Make: TypeAlias = Callable[..., Any]
DEFINITIONS: list[Make] = [
    workflow,
    created_workflow,
    keyed_workflow,
    created_keyed,
    virtual_object,
    created_object,
    of_a_factory,
    keyed_of_a_factory,
    object_of_a_factory,
]
HANDLERS: list[Make] = [exclusive_handler, shared_handler, signal_handler]
every_definition = pytest.mark.parametrize("make", DEFINITIONS)
every_handler = pytest.mark.parametrize("make", HANDLERS)
everything = pytest.mark.parametrize("make", [*DEFINITIONS, *HANDLERS])


def discovered(definition: Any) -> Any:
    """What Restate is told of it."""
    endpoint = restate.endpoint.Endpoint()
    endpoint.bind(definition)
    (service,) = compute_discovery(endpoint, "bidi").services
    return service


# -- bad input -----------------------------------------------------------------------------------


@everything
def test_an_unknown_option_is_told_with_those_there_are(make: Make) -> None:
    with pytest.raises(TypeError, match=r"has no option 'colour'\. It takes .*metadata"):
        make(colour="red")


@everything
def test_r21_nothing_ever_kills(make: Make) -> None:
    with pytest.raises(MisuseError, match=r"on_max_attempts='kill'.*never rolled back"):
        make(retry_policy=KILL)


@every_definition
def test_services_come_from_one_place(make: Make) -> None:
    with pytest.raises(MisuseError, match=r"has both services= and services_from="):
        make(services=7, services_from=provide)


@pytest.mark.parametrize(
    ("option", "mend"),
    [
        ({"deadline": 5}, r"deadline of .*datetime\.timedelta"),
        ({"deadline": timedelta(0)}, "above zero"),
        ({"max_result_size": 0}, "number of bytes"),
        ({"as_terminal_error": LookupError}, "as_terminal_error of "),
    ],
    ids=["no timedelta", "zero", "no size", "no mapper"],
)
@pytest.mark.parametrize("make", [*DEFINITIONS, exclusive_handler])
def test_r21_options_that_cannot_work_are_refused(
    make: Make, option: dict[str, Any], mend: str
) -> None:
    with pytest.raises(MisuseError, match=mend):
        make(**option)


@every_handler
def test_a_mapper_of_a_handler_is_checked(make: Make) -> None:
    with pytest.raises(MisuseError, match="as_terminal_error of Name"):
        make(as_terminal_error=LookupError)


@pytest.mark.parametrize("option", ["deadline", "observers", "max_result_size"])
@pytest.mark.parametrize("make", [shared_handler, signal_handler])
def test_without_a_saga_its_options_are_refused(make: Make, option: str) -> None:
    with pytest.raises(MisuseError, match=rf"has {option}=\.\.\., and no saga"):
        make(**{option: None})


@every_handler
def test_services_are_the_definitions(make: Make) -> None:
    with pytest.raises(TypeError, match="has no option 'services'"):
        make(services=7)


@pytest.mark.parametrize("option", ["services", "services_from"])
def test_a_factorys_services_are_for_all_it_makes(option: str) -> None:
    factory = loose(SagaFactory(services=7))
    for make in (factory.workflow, factory.restate_workflow, factory.virtual_object):
        with pytest.raises(MisuseError, match=rf"given {option}=.*saga_workflow or its sisters"):
            make("Name", **{option: provide})


@pytest.mark.parametrize(
    "make",
    [
        keyed_workflow,
        created_keyed,
        virtual_object,
        created_object,
        *HANDLERS,
    ],
)
def test_r21_one_key_to_preload_is_not_the_keys_of_its_letters(make: Make) -> None:
    """The type checkers take text for a sequence of texts."""
    with pytest.raises(MisuseError, match=r"state_preload='balance'.*\['balance'\]"):
        make(state_preload="balance")


def test_a_plain_workflow_has_no_state_to_preload() -> None:
    with pytest.raises(TypeError, match="has no option 'state_preload'"):
        workflow(state_preload=True)


# -- what the SDK is given -----------------------------------------------------------------------


@every_definition
def test_r21_restate_is_always_asked_to_pause(make: Make) -> None:
    for options in ({}, {"retry_policy": None}, {"retry_policy": InvocationRetryPolicy()}):
        assert discovered(make(**options)).retryPolicyOnMaxAttempts == "PAUSE"


@every_handler
def test_options_of_a_handler_are_told_of_the_handler_alone(make: Make) -> None:
    wallet = SagaVirtualObject("Name", inactivity_timeout=HOUR, metadata={"team": "shop"})
    approval = saga_restate_workflow("Name", inactivity_timeout=HOUR)(keyed)
    given: dict[str, Any] = {
        "inactivity_timeout": 2 * HOUR,
        "abort_timeout": 3 * HOUR,
        "journal_retention": 4 * HOUR,
        "idempotency_retention": 5 * HOUR,
        "ingress_private": True,
        "metadata": {"size": "small"},
        "state_preload": ["balance"],
        "retry_policy": InvocationRetryPolicy(max_attempts=3),
        "invocation_context_managers": None,
    }
    if make is exclusive_handler:
        definition: Any = wallet
        wallet.handler("it", **given)(exclusive)
    elif make is shared_handler:
        definition = wallet
        wallet.handler("it", kind="shared", **given)(shared)
    else:
        definition = approval
        approval.handler("it", **given)(signal)
    service = discovered(definition)
    assert service.inactivityTimeout == HOUR / timedelta(milliseconds=1)
    (told,) = [handler for handler in service.handlers if handler.name == "it"]
    hours = [
        told.inactivityTimeout,
        told.abortTimeout,
        told.journalRetention,
        told.idempotencyRetention,
    ]
    assert [hour / 3_600_000 for hour in hours] == [2, 3, 4, 5]
    assert told.ingressPrivate is True
    assert told.metadata["size"] == "small"
    assert (told.enableLazyState, told.eagerStateKeysWhitelist) == (True, ["balance"])
    assert (told.retryPolicyMaxAttempts, told.retryPolicyOnMaxAttempts) == (3, "PAUSE")


def test_the_retention_of_a_workflows_result_is_its_main_handlers() -> None:
    approval = saga_restate_workflow("Name", workflow_retention=7 * HOUR, state_preload=False)(
        keyed
    )
    service = discovered(approval)
    (main,) = service.handlers
    assert main.workflowCompletionRetention == 7 * 3_600_000
    assert service.enableLazyState is True


def test_none_is_the_servers_default() -> None:
    given: dict[str, Any] = dict.fromkeys(
        ["inactivity_timeout", "abort_timeout", "ingress_private", "metadata", "state_preload"]
    )
    told = discovered(SagaVirtualObject("Name", **given))
    default = discovered(SagaVirtualObject("Name"))
    assert vars(told) == vars(default)


# -- resaga's own --------------------------------------------------------------------------------


def mapper(error: Exception) -> TerminalError | None:
    return None


def test_what_a_handler_is_given_replaces_the_definitions() -> None:
    ear = SagaObserver()
    definition = SagaOptions(services=7, deadline=HOUR, observers=(ear,), max_result_size=10)
    same, nothing = for_handler("it", {}, definition)
    assert (same, nothing) == (definition, {})
    own, rest = for_handler(
        "it",
        {
            "deadline": None,
            "observers": [],
            "max_result_size": 20,
            "as_terminal_error": mapper,
            "ingress_private": True,
        },
        definition,
    )
    assert (own.services, own.deadline, own.observers) == (7, None, ())
    assert (own.max_result_size, own.as_terminal_error) == (20, mapper)
    assert rest == {"ingress_private": True}


def test_a_handler_without_a_saga_may_have_a_mapper_of_its_own() -> None:
    own, rest = for_shared_handler("it", {"as_terminal_error": mapper}, SagaOptions(services=7))
    assert (own.as_terminal_error, own.services, rest) == (mapper, 7, {})


def test_a_definitions_own_options_replace_the_factorys() -> None:
    factory = SagaFactory(services=7, deadline=HOUR, description="all", metadata={"team": "shop"})
    definition = factory.workflow("Name", deadline=None, description="this")(plain)
    assert (definition._options.deadline, definition._options.services) == (None, 7)
    told = discovered(definition)
    assert (told.documentation, told.metadata) == ("this", {"team": "shop"})
    assert discovered(factory.virtual_object("Other")).documentation == "all"


@pytest.mark.parametrize("name", ["", None, "my wallet", "a/b", "1x"])
def test_r21_a_name_that_restate_does_not_admit_is_refused(name: Any) -> None:
    with pytest.raises(MisuseError, match="name"):
        SagaVirtualObject(name)
    with pytest.raises(MisuseError, match="name"):
        saga_restate_workflow(name)(keyed)


@pytest.mark.parametrize("make", [keyed_workflow, virtual_object])
def test_r21_explicit_recovery_is_refused(make: Make) -> None:
    definition = make()
    assert definition.explicit_recovery is False
    definition.explicit_recovery = False
    with pytest.raises(MisuseError, match=r"Name has explicit_recovery.*needs its journal"):
        definition.explicit_recovery = True


# -- copies --------------------------------------------------------------------------------------


def intercept(request: SagaRequest) -> Any:
    return None


@pytest.mark.parametrize("make", [workflow, created_keyed, created_object])
def test_a_copy_has_all_but_what_it_was_made_for(make: Make) -> None:
    first, second = SagaObserver(), SagaObserver()
    definition = make(services=7, observers=[first], deadline=HOUR, description="x")
    bound = definition.with_services(provide)
    seen = definition.intercepted(intercept, observers=[second])
    for copy in (bound, seen):
        assert type(copy) is type(definition)
        assert repr(copy) == repr(definition) == f"<{type(definition).__name__} Name>"
        assert copy is not definition
        assert copy._options.deadline == HOUR
        told, original = discovered(copy), discovered(definition)
        assert told.documentation == original.documentation == "x"
        assert [h.name for h in told.handlers] == [h.name for h in original.handlers]
    assert (bound._options.services, bound._options.services_from) == (None, provide)
    assert (seen._options.services, seen._options.intercept) == (7, intercept)
    assert seen._options.observers == (first, second)
    assert definition._options.observers == (first,)
