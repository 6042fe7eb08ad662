"""Clients without a server: whom they reach, through what, and what the ingress is asked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import restate
from restate import TerminalError
from restate.client import Client as IngressClient
from restate.client_types import HttpError, RestateClient
from restate.context import Context, ObjectContext, WorkflowContext
from restate.server_context import ServerInvocationContext

from resaga import (
    Call,
    CodecError,
    CompensationContext,
    CompensationFailure,
    Contract,
    KeyedWorkflowClient,
    MisuseError,
    ObjectContract,
    RollbackIncomplete,
    Saga,
    SagaVirtualObject,
    StepContext,
    WorkflowClient,
    WorkflowContract,
    object_client,
    object_send_client,
    saga_restate_workflow,
    saga_workflow,
    service_client,
    service_send_client,
    workflow_client,
    workflow_send_client,
)


@dataclass
class Order:
    product: str


@saga_workflow("Checkout")
async def checkout(saga: Saga, order: Order) -> str:
    return order.product


@saga_restate_workflow("Approval")
async def approval(saga: Saga, ctx: WorkflowContext) -> int:
    return 7


wallet = SagaVirtualObject("Wallet")


@wallet.handler("transferIt")
async def transfer(saga: Saga, ctx: ObjectContext, order: Order) -> None: ...


pricing = restate.Service("Pricing")


@pricing.handler("quote")
async def quote(ctx: Context, order: str) -> int:
    return 1


class Wallet(ObjectContract, name="Wallet"):
    transfer = Call(Order, None, name="transferIt")


class Approval(WorkflowContract, name="Approval"):
    run = Call(None, int)


Checkout = Contract("Checkout", Order, str)


def loose(value: object) -> Any:
    """Something to be used as the checkers would not let it."""
    return value


def nowhere() -> Context:
    """A Restate context that nothing may be sent through."""
    context: Context = object.__new__(ServerInvocationContext)
    return context


@asynccontextmanager
async def ingress(
    answer: Callable[[httpx.Request], httpx.Response], codec: Any = None
) -> AsyncGenerator[RestateClient]:
    """The SDK's client, and in the place of the server a function."""
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://127.0.0.1:8080", transport=transport) as http:
        yield IngressClient(http, journal_codec=codec)


# -- whom they reach -----------------------------------------------------------------------------


def test_they_say_whom() -> None:
    via = nowhere()
    said: list[tuple[object, str]] = [
        (workflow_client(via, checkout), "<WorkflowClient of Checkout>"),
        (workflow_client(via, Checkout), "<WorkflowClient of Checkout>"),
        (workflow_client(via, approval, "o-7"), "<KeyedWorkflowClient of Approval 'o-7'>"),
        (object_client(via, wallet, "anna"), "<Client of Wallet 'anna'>"),
        (service_client(via, pricing), "<WorkflowClient of Pricing>"),
        (object_send_client(via, wallet, "anna"), "<SendClient of Wallet 'anna'>"),
        (workflow_send_client(via, checkout), "<WorkflowSendClient of Checkout>"),
    ]
    assert [repr(client) for client, _ in said] == [text for _, text in said]
    assert type(workflow_client(via, checkout)) is WorkflowClient
    assert type(workflow_client(via, approval, "o-7")) is KeyedWorkflowClient
    assert isinstance(object_client(via, Wallet, "anna"), Wallet)
    assert isinstance(workflow_client(via, Approval, "o-7"), Approval)


@pytest.mark.parametrize("make", [workflow_client, workflow_send_client])
@pytest.mark.parametrize("definition", [checkout, Checkout])
@pytest.mark.parametrize("key", ["", "order-7"])
def test_a_key_where_none_belongs_is_refused(make: Any, definition: object, key: str) -> None:
    with pytest.raises(
        MisuseError, match=r"Checkout has the key .*It has no keys.*idempotency_key"
    ):
        make(nowhere(), definition, key)


@pytest.mark.parametrize("make", [workflow_client, workflow_send_client])
@pytest.mark.parametrize("definition", [approval, Approval])
@pytest.mark.parametrize("key", [(), ("",), (None,), (7,)])
def test_a_workflow_without_its_key_is_refused(make: Any, definition: object, key: Any) -> None:
    with pytest.raises(MisuseError, match=r"Approval has the key .*It is keyed"):
        make(nowhere(), definition, *key)


@pytest.mark.parametrize("make", [object_client, object_send_client])
@pytest.mark.parametrize("definition", [wallet, Wallet])
@pytest.mark.parametrize("key", ["", None, 7])
def test_an_object_without_its_key_is_refused(make: Any, definition: object, key: object) -> None:
    with pytest.raises(MisuseError, match=r"Wallet has the key .*It is keyed"):
        make(nowhere(), definition, key)


@pytest.mark.parametrize("make", [service_client, service_send_client])
@pytest.mark.parametrize("definition", [wallet, Wallet, approval, Approval])
def test_what_is_keyed_is_no_service(make: Any, definition: object) -> None:
    with pytest.raises(MisuseError, match="It is keyed"):
        make(nowhere(), definition)


@pytest.mark.parametrize("definition", [None, 7, "Checkout", int, checkout.run, quote, object()])
def test_what_is_no_definition_is_refused(definition: object) -> None:
    for make in (service_client, workflow_client, service_send_client, workflow_send_client):
        with pytest.raises(MisuseError, match=r"is no definition.*or a contract\."):
            loose(make)(nowhere(), definition)


@pytest.mark.parametrize("base", [ObjectContract, WorkflowContract])
def test_the_base_of_contracts_is_none(base: object) -> None:
    with pytest.raises(MisuseError, match="is the base of contracts"):
        loose(object_client)(nowhere(), base, "anna")


# -- which handler -------------------------------------------------------------------------------


def test_an_unknown_handler_is_told_with_those_there_are() -> None:
    via = nowhere()
    unknown: list[tuple[Any, str]] = [
        (workflow_client(via, checkout), "Checkout has no handler 'nope'. It has: run."),
        (object_client(via, wallet, "a"), "Wallet has no handler 'nope'. It has: transferIt."),
        (object_send_client(via, wallet, "a"), "Wallet has no handler 'nope'. It has: transferIt."),
        (object_send_client(via, Wallet, "a"), "It has: transfer, transferIt."),
        (service_client(via, restate.Service("Empty")), "It has: none."),
    ]
    for client, said in unknown:
        with pytest.raises(AttributeError) as caught:
            _ = client.nope
        assert str(caught.value).endswith(said)
        with pytest.raises(AttributeError, match="_nope"):
            _ = client._nope
    assert not hasattr(loose(workflow_client(via, checkout)), "attach")


@pytest.mark.parametrize("handler", [len, None, "run", 7, nowhere])
def test_what_is_no_handler_is_refused(handler: object) -> None:
    for client in (service_client(nowhere(), pricing), service_send_client(nowhere(), pricing)):
        with pytest.raises(MisuseError, match=r"is no handler\. Give one of Pricing"):
            loose(client).call(handler, "x")


@pytest.mark.parametrize("handler", [transfer, Wallet.transfer, checkout.run, Checkout.run])
def test_a_handler_of_another_definition_is_refused(handler: object) -> None:
    for client in (service_client(nowhere(), pricing), service_send_client(nowhere(), pricing)):
        with pytest.raises(MisuseError, match="is no handler of Pricing, which this client is of"):
            loose(client).call(handler, Order("tea"))


async def test_arguments_are_checked_before_anything_is_sent() -> None:
    via = nowhere()
    checkouts: Any = workflow_client(via, checkout)
    approvals: Any = workflow_client(via, approval, "o-7")
    wallets: Any = object_client(via, Wallet, "anna")
    sends: Any = workflow_send_client(via, checkout)
    refused: list[tuple[str, Callable[[], Any]]] = [
        (r"Checkout\.run was called without its argument", checkouts.run),
        (r"Approval\.run was given an argument, and takes none", lambda: approvals.run(1)),
        ("idempotency key ''", lambda: checkouts.run(Order("tea"), idempotency_key="")),
        ("below zero", lambda: sends.run(Order("tea"), delay=timedelta(seconds=-1))),
        ("without its argument", lambda: sends.run()),
        ("inside Restate, which attaches by invocation id", approvals.attach),
    ]
    for mend, act in refused:
        with pytest.raises(MisuseError, match=mend):
            await act()
    for act in (lambda: checkouts.run("tea"), lambda: wallets.transfer(None)):
        with pytest.raises(CodecError):
            await act()
    with pytest.raises(TypeError, match="delay"):
        await checkouts.call(checkout.run, Order("tea"), delay=timedelta(1))


# -- through what --------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [StepContext, CompensationContext])
def test_r14_an_actions_context_is_no_way_to_call(context: Any) -> None:
    via = object.__new__(context)
    object.__setattr__(via, "name", "Pay")
    with pytest.raises(MisuseError, match=r"step 'Pay', which is an action.*durable=True"):
        loose(workflow_client)(via, checkout)


@pytest.mark.parametrize("via", [None, 7, "http://127.0.0.1:8080", checkout])
def test_what_is_no_way_to_call_is_refused(via: object) -> None:
    with pytest.raises(MisuseError, match=rf"given {type(via).__name__} to call through"):
        loose(workflow_client)(via, checkout)


def test_a_client_of_another_make_is_refused() -> None:
    made = type("Other", (RestateClient,), dict.fromkeys(RestateClient.__abstractmethods__))
    other: Any = made()
    with pytest.raises(MisuseError, match=r"Other is no client of restate\.create_client"):
        workflow_client(other, checkout)


# -- over the ingress ----------------------------------------------------------------------------


async def test_a_call_is_one_request() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=b'"tea"' if len(asked) == 1 else b"")

    async with ingress(answer) as client:
        run = workflow_client(client, checkout).run
        assert await run(Order("tea"), idempotency_key="k", headers={"tenant": "a"}) == "tea"
        await object_client(client, wallet, "a/b é").call(transfer, Order("tea"))
    first, second = asked
    assert (first.method, first.url.raw_path) == ("POST", b"/Checkout/run")
    assert json.loads(first.content) == {"product": "tea"}
    assert (first.headers["idempotency-key"], first.headers["tenant"]) == ("k", "a")
    assert first.headers["content-type"] == "application/json"
    assert second.url.raw_path == b"/Wallet/a%2Fb%20%C3%A9/transferIt"
    assert "idempotency-key" not in second.headers


async def test_without_input_nothing_is_sent_and_attaching_waits() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=b"7")

    async with ingress(answer) as client:
        approvals = workflow_client(client, approval, "o-7")
        assert await approvals.run() == 7
        assert await approvals.attach() == 7
    run, attach = asked
    assert (run.content, "content-type" in run.headers) == (b"", False)
    assert attach.url.raw_path == b"/restate/workflow/Approval/o-7/attach"


async def test_a_send_gives_its_id_and_waits_for_who_wants() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        accepted = {"invocationId": "inv_1", "status": "Accepted"}
        return (
            httpx.Response(202, json=accepted)
            if len(asked) < 3
            else httpx.Response(200, json="tea")
        )

    async with ingress(answer) as client:
        await workflow_send_client(client, checkout).run(Order("tea"))
        sent = await workflow_send_client(client, checkout).run(
            Order("tea"), delay=timedelta(seconds=1.5)
        )
        assert await sent.invocation_id() == "inv_1"
        assert await sent.attach() == "tea"
    assert asked == [
        "/Checkout/run/send",
        "/Checkout/run/send?delay=1500ms",
        "/restate/invocation/inv_1/attach",
    ]


class Reversing:
    """A codec of the journal's values, as the SDK takes one."""

    def encode(self, value: bytes) -> bytes:
        return value[::-1]

    async def decode(self, value: bytes) -> bytes:
        return value[::-1]


async def test_the_clients_own_codec_is_kept() -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.content)
        return httpx.Response(200, content=b'"tea"'[::-1])

    async with ingress(answer, Reversing()) as client:
        assert await workflow_client(client, checkout).run(Order("tea")) == "tea"
    assert asked == [b'{"product":"tea"}'[::-1]]


async def test_the_other_sides_terminal_error_is_one_here() -> None:
    failures = [CompensationFailure("Pay", "no")]
    left = RollbackIncomplete(TerminalError("sold out", 409, {"limit": "9"}), failures)
    bodies: list[dict[str, Any]] = [
        {"source": "invocation", "message": "sold out", "code": 409, "metadata": {"limit": "9"}},
        {"source": "invocation", "message": left.message, "code": 409, "metadata": left.metadata},
    ]
    for body, kind in zip(bodies, [TerminalError, RollbackIncomplete], strict=True):

        def answer(_: httpx.Request, body: object = body) -> httpx.Response:
            return httpx.Response(409, json=body)

        async with ingress(answer) as client:
            with pytest.raises(TerminalError) as caught:
                await workflow_client(client, checkout).run(Order("tea"))
        assert type(caught.value) is kind
        assert (caught.value.status_code, caught.value.metadata) == (409, body["metadata"])


@pytest.mark.parametrize(
    "content", [b"not ready", b"{}", b"[]", b"null", b'{"source": "invocation"}', b'"no"']
)
async def test_what_the_ingress_itself_answers_is_no_terminal_error(content: bytes) -> None:
    async with ingress(lambda _: httpx.Response(503, content=content)) as client:
        with pytest.raises(HttpError) as caught:
            await workflow_client(client, checkout).run(Order("tea"))
    assert caught.value.status_code == 503
