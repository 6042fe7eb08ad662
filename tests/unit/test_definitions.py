"""Workflows as Restate's own definitions: what of them reaches the SDK, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pydantic
import pytest
import restate
from restate import InvocationRetryPolicy
from restate._preview import explicit_recovery
from restate.discovery import PythonClassEncoder, compute_discovery
from restate.handler import Handler as SdkHandler
from restate.handler import handler_from_callable
from restate.server_context import ServerInvocationContext

from resaga import (
    CodecError,
    MisuseError,
    Saga,
    SagaObserver,
    SagaRequest,
    SagaWorkflow,
    UnsupportedTypeError,
    create_saga_workflow,
    saga_workflow,
)
from resaga.definitions.handlers import open_handler
from resaga.seam import SagaContext, take_seam

if TYPE_CHECKING:
    from decimal import Decimal

HOUR = timedelta(hours=1)

# What the type checkers refuse as well is passed through here.
make = cast("Callable[..., SagaWorkflow[Any, Any]]", create_saga_workflow)


@dataclass
class Order:
    product: str
    quantity: int


class Receipt(pydantic.BaseModel):
    order_id: str = pydantic.Field(alias="orderId")


class Secretive(pydantic.BaseModel):
    password: pydantic.SecretStr


@dataclass
class Other:
    product: str
    quantity: int


async def sell(saga: Saga, order: Order) -> Receipt:
    """Sell one thing."""
    return Receipt(orderId=order.product)


async def tidy(saga: Saga) -> None:
    """Takes and gives nothing."""


async def loosely(saga: Saga, anything: Any) -> Any:
    return anything


def handlers_of(workflow: restate.Service) -> dict[str, object]:
    """What the SDK serves under its name."""
    handlers: dict[str, object] = vars(workflow)["handlers"]
    return handlers


def handler_of(workflow: SagaWorkflow[Any, Any]) -> SdkHandler[Any, Any]:
    """The SDK's own description of its handler."""
    handler: SdkHandler[Any, Any] = handler_from_callable(workflow.run)
    return handler


def discovered(workflow: SagaWorkflow[Any, Any]) -> Any:
    """What Restate is told of it."""
    endpoint = restate.endpoint.Endpoint()
    endpoint.bind(workflow)
    (service,) = compute_discovery(endpoint, "bidi").services
    return service


# -- what it is ----------------------------------------------------------------------------------


def test_a_workflow_is_a_service_of_the_sdk_with_one_handler() -> None:
    workflow = saga_workflow("Checkout")(sell)
    assert isinstance(workflow, restate.Service)
    assert workflow.name == "Checkout"
    assert handlers_of(workflow).keys() == {"run"}
    assert repr(workflow) == "<SagaWorkflow Checkout>"
    assert restate.app([workflow]) is not None


def test_both_ways_give_the_same() -> None:
    ways: list[SagaWorkflow[Any, Any]] = [
        saga_workflow("Checkout", description="x")(sell),
        make("Checkout", sell, description="x"),
    ]
    first, second = (json.dumps(discovered(workflow), cls=PythonClassEncoder) for workflow in ways)
    assert first == second


def test_its_handler_is_found_by_the_sdk_and_bears_the_bodys_words() -> None:
    workflow = make("Checkout", sell)
    handler = handler_of(workflow)
    assert handlers_of(workflow) == {"run": handler}
    assert (handler.service_tag.name, handler.name, handler.arity) == ("Checkout", "run", 2)
    assert handler.description == "Sell one thing."
    assert workflow.run.__doc__ == "Sell one thing."
    assert (workflow.run.service, workflow.run.name) == ("Checkout", "run")
    assert repr(workflow.run) == "<Handler Checkout/run>"
    assert handler_of(make("Tidy", tidy)).arity == 1


def test_the_options_of_the_sdk_reach_it() -> None:
    policy = InvocationRetryPolicy(initial_interval=HOUR, max_attempts=7)
    workflow = saga_workflow(
        "Checkout",
        description="Sells things.",
        metadata={"team": "shop"},
        inactivity_timeout=HOUR,
        abort_timeout=2 * HOUR,
        journal_retention=3 * HOUR,
        idempotency_retention=4 * HOUR,
        ingress_private=True,
        retry_policy=policy,
    )(sell)
    told = discovered(workflow)
    assert (told.documentation, told.metadata) == ("Sells things.", {"team": "shop"})
    hours = [
        told.inactivityTimeout,
        told.abortTimeout,
        told.journalRetention,
        told.idempotencyRetention,
    ]
    assert [hour / 3_600_000 for hour in hours] == [1, 2, 3, 4]
    assert told.ingressPrivate is True
    assert workflow.invocation_retry_policy == dataclasses.replace(policy, on_max_attempts="pause")


def test_r21_restate_is_always_asked_to_pause() -> None:
    for policy in (None, InvocationRetryPolicy(max_attempts=3)):
        told = discovered(make("Checkout", sell, retry_policy=policy))
        assert told.retryPolicyOnMaxAttempts == "PAUSE"


def test_metadata_of_any_mapping_are_taken_over() -> None:
    given = {"team": "shop"}
    workflow = make("Checkout", sell, metadata=given)
    given["team"] = "other"
    assert discovered(workflow).metadata == {"team": "shop"}


# -- values --------------------------------------------------------------------------------------


def test_r22_discovery_carries_the_schemas_of_the_codec() -> None:
    (handler,) = discovered(make("Checkout", sell)).handlers
    assert handler.input.contentType == "application/json"
    assert handler.input.jsonSchema["$defs"]["Order"]["required"] == ["product", "quantity"]
    assert "orderId" in str(handler.output.jsonSchema), "by its alias, as it is written"


def test_r22_a_saga_without_input_and_output_says_so() -> None:
    (handler,) = discovered(make("Tidy", tidy)).handlers
    # Not void: clients in other languages send an empty body with a content type.
    assert (handler.input.required, handler.input.jsonSchema) == (False, None)
    assert not hasattr(handler.output, "jsonSchema") or handler.output.jsonSchema is None


def test_r22_callers_in_process_send_what_the_saga_reads() -> None:
    io = handler_of(make("Checkout", sell)).handler_io
    raw = io.input_serde.serialize(Order("x", 2))
    assert raw == b'{"product":"x","quantity":2}'
    assert io.input_serde.deserialize(raw) == raw, "the saga itself decodes, to answer 400"
    with pytest.raises(CodecError, match=r"^\$"):
        io.input_serde.serialize("no order")


def test_r22_they_get_the_output_as_its_type() -> None:
    io = handler_of(make("Checkout", sell)).handler_io
    receipt = Receipt(orderId="x")
    raw = io.output_serde.serialize(receipt)
    assert raw == b'{"orderId":"x"}'
    assert io.output_serde.deserialize(raw) == receipt


def test_an_output_that_its_annotation_does_not_admit_names_saga_and_mend() -> None:
    """The steps are done and the journal has them: it is retried until the code is mended."""
    io = handler_of(make("Checkout", sell)).handler_io
    with pytest.raises(CodecError, match=r"Checkout returned what .* deploy code that") as refused:
        io.output_serde.serialize({"secret": "s3cr3t"})
    assert "s3cr3t" not in str(refused.value)


def test_without_annotations_values_are_plain_json() -> None:
    io = handler_of(make("Loose", loosely)).handler_io
    assert io.output_serde.deserialize(io.output_serde.serialize({"a": [1, None]})) == {
        "a": [1, None]
    }


@pytest.mark.parametrize("where", ["order", "return"])
@pytest.mark.parametrize("declared", [Order | Other, Callable[[], int], Secretive, set[Secretive]])
def test_r16_a_type_that_cannot_come_back_is_refused(where: str, declared: object) -> None:
    async def body(saga: Saga, order: Any) -> Any:
        return order

    body.__annotations__[where] = declared
    told = "the input of Checkout" if where == "order" else "the result of Checkout"
    with pytest.raises(UnsupportedTypeError, match=f"^{told}"):
        make("Checkout", body)


async def takes_hidden(saga: Saga, order: Decimal) -> None:
    """Its input is there for the type checker alone."""


async def gives_hidden(saga: Saga) -> Decimal:
    raise NotImplementedError


@pytest.mark.parametrize("body", [takes_hidden, gives_hidden])
def test_r15_a_name_that_does_not_resolve_is_told_with_its_mend(body: object) -> None:
    """Restate has to be told the schema, so it cannot wait until the first use."""
    with pytest.raises(MisuseError, match=r"^Checkout: .*'Decimal'.*at module level"):
        make("Checkout", body)


# -- misuse --------------------------------------------------------------------------------------


async def two_inputs(saga: Saga, order: Order, more: Order) -> None:
    """Takes too much."""


async def takes_nothing() -> None:
    """Takes too little."""


def in_thread(saga: Saga, order: Order) -> None:
    """Cannot await steps."""


async def yields(saga: Saga, order: Order) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("body", "mend"),
    [
        (two_inputs, "at most one input"),
        (takes_nothing, "gets the saga"),
        (in_thread, "not an async def"),
        (yields, "is a generator"),
        (7, "Give a function"),
    ],
)
def test_r21_what_cannot_be_a_body_is_refused(body: object, mend: str) -> None:
    with pytest.raises(MisuseError, match=rf"Checkout.*{mend}"):
        make("Checkout", body)


@pytest.mark.parametrize("name", ["", None, 7, b"x", "my saga", "a/b", "größe", "-x", "1x", "x\n"])
def test_r21_a_name_that_restate_does_not_admit_is_refused(name: object) -> None:
    with pytest.raises(MisuseError, match="name"):
        make(name, sell)


@pytest.mark.parametrize("name", ["Checkout", "check-out_2.v1", "_1", "x"])
def test_a_name_that_restate_admits_is_admitted(name: str) -> None:
    assert make(name, sell).name == name


def test_r21_explicit_recovery_is_refused() -> None:
    workflow = make("Checkout", sell)
    assert workflow.explicit_recovery is False
    with pytest.raises(MisuseError, match=r"Checkout has explicit_recovery.*needs its journal"):
        explicit_recovery(workflow)
    workflow.explicit_recovery = False


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ({"deadline": timedelta(0)}, "deadline of workflow Checkout .*above zero"),
        ({"deadline": 5}, r"deadline of workflow Checkout .*datetime\.timedelta"),
        (
            {"retry_policy": InvocationRetryPolicy(on_max_attempts="kill")},
            "workflow Checkout: .*='pause'",
        ),
        ({"services": 1, "services_from": print}, "workflow Checkout has both"),
    ],
)
def test_r21_options_that_cannot_work_are_refused(options: dict[str, Any], mend: str) -> None:
    with pytest.raises(MisuseError, match=mend):
        make("Checkout", sell, **options)


def test_r21_a_handler_is_not_called_as_a_function() -> None:
    workflow = make("Checkout", sell)
    with pytest.raises(MisuseError, match=r"Checkout\.run was called .*ctx\.service_call"):
        _ = workflow.run(object(), Order("x", 1))


def test_r21_a_second_handler_of_the_same_name_is_refused() -> None:
    workflow = make("Checkout", sell)
    with pytest.raises(ValueError, match="already exists"):
        open_handler(
            workflow.handler,
            workflow,
            workflow._body,
            workflow._options,
            name="run",
            workflow="Checkout",
        )


def test_r21_a_context_is_taken_by_one_saga() -> None:
    context = object.__new__(ServerInvocationContext)
    context.vm = cast("Any", object())
    taken = take_seam(context)
    assert taken is cast("object", context), "whoever holds it has the saga's"
    assert isinstance(taken, SagaContext)
    with pytest.raises(MisuseError, match="run_as_step"):
        take_seam(taken)


# -- services ------------------------------------------------------------------------------------


class Shop:
    """Services."""


@asynccontextmanager
async def opened(request: SagaRequest[Any]) -> AsyncGenerator[Shop]:
    yield Shop()


def provider(request: SagaRequest[Any]) -> AbstractAsyncContextManager[Shop]:
    return opened(request)


def _options(workflow: SagaWorkflow[Any, Any]) -> Any:
    return workflow._options


def test_r28_with_services_gives_a_copy_and_leaves_the_workflow_alone() -> None:
    ear = SagaObserver()
    workflow = make(
        "Checkout", sell, services=Shop(), observers=[ear], description="x", journal_retention=HOUR
    )
    bound = workflow.with_services(provider)
    assert type(bound) is SagaWorkflow
    assert bound is not workflow
    assert bound.run is not workflow.run
    assert (_options(bound).services, _options(bound).services_from) == (None, provider)
    assert isinstance(_options(workflow).services, Shop)
    assert _options(workflow).services_from is None
    assert _options(bound).observers == (ear,)
    first, second = (discovered(each) for each in (workflow, bound))
    assert (second.name, second.documentation) == ("Checkout", "x")
    assert first.journalRetention == second.journalRetention


def test_a_list_of_observers_is_taken_over_as_it_is() -> None:
    observers = [SagaObserver()]
    workflow = make("Checkout", sell, observers=observers)
    observers.clear()
    assert len(_options(workflow).observers) == 1
