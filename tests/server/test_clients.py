"""Clients: one function for inside and outside, typed by definitions and contracts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import TerminalError
from restate.context import Context, ObjectContext, ObjectSharedContext

from resaga import (
    Call,
    CodecError,
    Contract,
    DurableCompensationContext,
    DurableStepContext,
    MisuseError,
    ObjectContract,
    RollbackIncomplete,
    Saga,
    SagaRequest,
    SagaVirtualObject,
    SagaWorkflow,
    StepContext,
    object_client,
    object_send_client,
    saga_step,
    saga_workflow,
    service_client,
    service_send_client,
    workflow_client,
    workflow_send_client,
)
from tests.support import Rig


@dataclass
class Order:
    product: str
    quantity: int = 1


@dataclass
class Receipt:
    id: str


def wrong(value: object) -> Any:
    """Something to be used as the checkers would not let it."""
    return value


WAYS = ["saga", "durable step", "context", "outside"]


async def through(rig: Rig, way: str, act: Callable[[Any], Awaitable[Any]], *served: Any) -> Any:
    """Run ``act`` with one of the things that a client calls through; what it gives."""
    async with AsyncExitStack() as stack:
        if way == "outside":
            await rig.serve(*served)
            client = await stack.enter_async_context(rig.client())
            return await act(client)
        if way == "context":
            service = restate.Service(rig.name("Plain"))

            @service.handler("run")
            async def run(ctx: Context) -> Any:
                return await act(ctx)

            await rig.serve(service, *served)
            return await rig.call(service)

        @saga_step("Calls", durable=True)
        async def calls(step: DurableStepContext) -> Any:
            return await act(step)

        @saga_workflow(rig.name("Caller"))
        async def caller(saga: Saga) -> Any:
            return await (act(saga) if way == "saga" else calls(saga))

        await rig.serve(caller, *served)
        return await rig.call(caller)


def checkout_of(rig: Rig) -> SagaWorkflow[Order, Receipt]:
    @saga_workflow(rig.name("Checkout"))
    async def checkout(saga: Saga, order: Order) -> Receipt:
        await rig.step("Reserve")(saga, order.product)
        if order.quantity > 9:
            raise TerminalError("too many", 409, {"limit": "9"})
        return Receipt(f"{order.product} x {order.quantity}")

    return checkout


@pytest.mark.parametrize("way", WAYS)
async def test_a_workflow_is_called(rig: Rig, way: str) -> None:
    checkout = checkout_of(rig)
    contract = Contract(checkout.name, Order, Receipt)

    async def act(via: Any) -> list[str]:
        order = Order("book")
        receipts = [
            await workflow_client(via, checkout).run(order),
            await workflow_client(via, checkout).call(checkout.run, order),
            await service_client(via, checkout).run(order),
            await workflow_client(via, contract).run(order),
            await workflow_client(via, contract).call(contract.run, order),
        ]
        assert all(type(receipt) is Receipt for receipt in receipts)
        return [receipt.id for receipt in receipts]

    assert await through(rig, way, act, checkout) == ["book x 1"] * 5


@pytest.mark.parametrize("way", WAYS)
async def test_its_terminal_error_is_one_here(rig: Rig, way: str) -> None:
    checkout = checkout_of(rig)

    async def act(via: Any) -> list[Any]:
        with pytest.raises(TerminalError) as caught:
            await workflow_client(via, checkout).run(Order("book", 10))
        error = caught.value
        assert type(error) is TerminalError
        return [error.message, error.status_code, error.metadata]

    assert await through(rig, way, act, checkout) == ["too many", 409, {"limit": "9"}]
    assert rig.ledger.undone() == ["Reserve"]


@pytest.mark.parametrize("way", WAYS)
async def test_r10_an_incomplete_rollback_is_one_here(rig: Rig, way: str) -> None:
    @saga_workflow(rig.name("Broken"))
    async def broken(saga: Saga) -> None:
        await rig.step("Pay", undo_fails=TerminalError("bank closed"))(saga, 1)
        await rig.step("Ship")(saga, 1)
        raise TerminalError("no", 409)

    async def act(via: Any) -> list[Any]:
        with pytest.raises(RollbackIncomplete) as caught:
            await workflow_client(via, broken).run()
        error = caught.value
        return [error.original.message, [[f.name, f.message] for f in error.failures]]

    assert await through(rig, way, act, broken) == ["no", [["Pay", "bank closed"]]]


async def test_a_remote_saga_that_fails_rolls_its_caller_back(rig: Rig) -> None:
    checkout = checkout_of(rig)

    @saga_workflow(rig.name("Caller"))
    async def caller(saga: Saga) -> None:
        await rig.step("First")(saga, 1)
        await workflow_client(saga, checkout).run(Order("book", 10))

    await rig.serve(caller, checkout)
    error = await rig.fail(caller)
    assert (error.code, error.message, error.metadata) == (409, "too many", {"limit": "9"})
    assert rig.ledger.order() == ["do First", "do Reserve", "undo Reserve", "undo First"]


def wallet_of(rig: Rig) -> tuple[SagaVirtualObject[Any], Any, Any]:
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def transfer(saga: Saga, ctx: ObjectContext, order: Order) -> Receipt:
        await rig.step("Take")(saga, order.product)
        return Receipt(f"{ctx.key()}: {order.product}")

    @wallet.handler("getBalance", kind="shared")
    async def get_balance(ctx: ObjectSharedContext) -> int:
        return len(ctx.key())

    return wallet, transfer, get_balance


@pytest.mark.parametrize("way", WAYS)
async def test_an_object_is_called(rig: Rig, way: str) -> None:
    wallet, transfer, get_balance = wallet_of(rig)

    class Wallet(ObjectContract, name=wallet.name):
        transfer = Call(Order, Receipt)
        get_balance = Call(None, int, name="getBalance")

    async def act(via: Any) -> list[Any]:
        key = "ä/b c?#%"
        client = object_client(via, wallet, key=key)
        typed = object_client(via, Wallet, key)
        receipts = [
            await client.call(transfer, Order("a")),
            await client.transfer(Order("b")),
            await typed.transfer(Order("c")),
            await client.call(Wallet.transfer, Order("d")),
        ]
        balances = [
            await client.call(get_balance),
            await client.getBalance(),
            await typed.get_balance(),
        ]
        return [[receipt.id for receipt in receipts], balances]

    receipts, balances = await through(rig, way, act, wallet)
    assert receipts == [f"ä/b c?#%: {product}" for product in "abcd"]
    assert balances == [len("ä/b c?#%")] * 3


@pytest.mark.parametrize("way", WAYS)
async def test_sends_do_not_wait(rig: Rig, way: str) -> None:
    checkout = checkout_of(rig)
    wallet, transfer, _ = wallet_of(rig)

    class Wallet(ObjectContract, name=wallet.name):
        transfer = Call(Order, Receipt)

    async def act(via: Any) -> list[str]:
        sent = await workflow_send_client(via, checkout).run(Order("book"), idempotency_key="k1")
        assert (await sent.invocation_id()).startswith("inv_")
        again = await service_send_client(via, checkout).run(Order("book"), idempotency_key="k1")
        assert await again.invocation_id() == await sent.invocation_id()
        late = await object_send_client(via, wallet, "k").call(
            transfer, Order("late"), delay=timedelta(milliseconds=50), idempotency_key="k2"
        )
        by_name = await object_send_client(via, Wallet, "k").transfer(
            Order("named"), idempotency_key="k3"
        )
        ends = [await sent.attach(), await late.attach(), await by_name.attach()]
        return [receipt.id for receipt in ends]

    assert await through(rig, way, act, checkout, wallet) == [
        "book x 1", "k: late", "k: named",
    ]  # fmt: skip
    assert rig.ledger.count("do Reserve") == 1


@pytest.mark.parametrize("way", WAYS)
async def test_headers_and_idempotency_keys_arrive(rig: Rig, way: str) -> None:
    requests: list[SagaRequest[Order]] = []

    class Scope:
        def __init__(self, request: SagaRequest[Order]) -> None:
            requests.append(request)

        async def __aenter__(self) -> str:
            return requests[-1].headers.get("x-tenant", "")

        async def __aexit__(self, *exc_info: object) -> None: ...

    @saga_workflow(rig.name("Tenant"), services_from=Scope)
    async def tenant(saga: Saga[str], order: Order) -> str:
        await rig.step("Once")(saga, 1)
        return saga.services

    async def act(via: Any) -> list[str]:
        client = workflow_client(via, tenant)
        how: Any = {"headers": {"x-tenant": "acme"}, "idempotency_key": "k"}
        return [await client.run(Order("a"), **how), await client.run(Order("a"), **how)]

    assert await through(rig, way, act, tenant) == ["acme", "acme"]
    assert rig.ledger.count("do Once") == 1


@pytest.mark.parametrize("way", WAYS)
async def test_definitions_of_the_sdk_are_called(rig: Rig, way: str) -> None:
    service = restate.Service(rig.name("Sdk"))

    @service.handler("double")
    async def double(ctx: Context, value: int) -> int:
        return value * 2

    @service.handler("nothing")
    async def nothing(ctx: Context) -> None: ...

    counter = restate.VirtualObject(rig.name("Counter"))

    @counter.handler("add")
    async def add(ctx: ObjectContext, value: int) -> int:
        total = (await ctx.get("total", type_hint=int) or 0) + value
        ctx.set("total", total)
        return total

    async def act(via: Any) -> list[Any]:
        client = service_client(via, service)
        counts = object_client(via, counter, "k")
        return [
            await client.call(double, 21),
            await client.double(4),
            await client.call(nothing),
            await counts.call(add, 1),
            await counts.add(2),
        ]

    assert await through(rig, way, act, service, counter) == [42, 8, None, 1, 3]


async def test_the_sdks_own_clients_take_its_handlers(rig: Rig) -> None:
    @saga_workflow(rig.name("Alone"))
    async def alone(saga: Saga) -> str:
        return "alone"

    wallet, transfer, get_balance = wallet_of(rig)
    caller = restate.Service(rig.name("Caller"))

    async def calls(via: Any) -> list[Any]:
        return [
            await via.service_call(alone.run, None),
            (await via.object_call(transfer, "k", Order("a"))).id,
            await via.object_call(get_balance, "k", None),
        ]

    @caller.handler("run")
    async def run(ctx: Context) -> list[Any]:
        return await calls(ctx)

    await rig.serve(alone, wallet, caller)
    expected = ["alone", "k: a", 1]
    assert await rig.call(caller) == expected
    async with rig.client() as client:
        assert await calls(client) == expected


async def test_r8_calls_of_a_durable_compensation_survive_a_second_cancel(rig: Rig) -> None:
    gate = rig.gate()
    refund_step = rig.step("Refund", gate=gate)

    @saga_workflow(rig.name("Refund"))
    async def refund(saga: Saga, order: Order) -> Receipt:
        await refund_step(saga, 1)
        return Receipt("refunded")

    @saga_step("Pay", durable=True)
    async def pay(step: DurableStepContext, order: Order) -> str:
        return order.product

    @pay.compensate
    async def unpay(step: DurableCompensationContext, data: str | Order) -> None:
        receipt = await workflow_client(step, refund).run(Order(str(data)))
        await step.ctx.run_typed("note", lambda: rig.ledger.note(receipt.id))

    @saga_workflow(rig.name("Caller"))
    async def caller(saga: Saga) -> None:
        await pay(saga, Order("book"))
        raise TerminalError("no")

    await rig.serve(caller, refund)
    sent = await rig.send(caller)
    await gate.reached()
    await sent.cancel()
    await sent.cancel()
    gate.open()
    assert (await sent.error()).message == "no"
    assert "refunded" in json.dumps(rig.ledger.order())


async def test_what_is_longer_than_the_sdks_own_patience(rig: Rig) -> None:
    """The SDK's client gives up after five seconds without an answer (httpx's default)."""

    @saga_workflow(rig.name("Long"))
    async def long(saga: Saga) -> str:
        await saga.ctx.sleep(timedelta(seconds=6))
        return "done"

    await rig.serve(long)
    async with rig.client() as client:
        assert await workflow_client(client, long).run() == "done"


async def test_the_ingress_own_answers_are_no_terminal_errors(rig: Rig) -> None:
    async with rig.client() as client:
        with pytest.raises(restate.HttpError) as caught:
            await workflow_client(client, Contract("Nowhere", Order, Receipt)).run(Order("a"))
    assert caught.value.status_code == 404


async def test_bad_input_is_refused_before_anything_is_sent(rig: Rig) -> None:
    checkout = checkout_of(rig)
    wallet, transfer, get_balance = wallet_of(rig)
    await rig.serve(checkout, wallet)

    class Wallet(ObjectContract, name=wallet.name):
        transfer = Call(Order, Receipt)

    async with rig.client() as client:
        with pytest.raises(
            AttributeError, match=r"no handler 'nope'. It has: getBalance, transfer"
        ):
            await object_client(client, wallet, "k").nope()
        with pytest.raises(AttributeError, match=r"no handler 'nope'. It has: transfer"):
            await wrong(object_client(client, Wallet, "k")).nope()
        with pytest.raises(AttributeError, match="no handler 'nope'"):
            await object_send_client(client, wallet, "k").nope()
        checkouts = wrong(workflow_client(client, checkout))
        wallets = wrong(object_client(client, wallet, "k"))
        refused: list[tuple[str, Callable[[], Any]]] = [
            ("It has no keys", lambda: wrong(workflow_client)(client, checkout, "k")),
            ("It is keyed", lambda: object_client(client, wallet, "")),
            ("It is keyed", lambda: wrong(workflow_client)(client, wallet)),
            ("is no definition", lambda: wrong(workflow_client)(client, 7)),
            ("to call through", lambda: wrong(workflow_client)(7, checkout)),
            ("is no handler of", lambda: checkouts.call(transfer, Order("a"))),
            ("is no handler", lambda: checkouts.call(len, "a")),
            ("without its argument", lambda: wallets.call(transfer)),
            ("takes none", lambda: wallets.call(get_balance, 1)),
            ("idempotency key ''", lambda: checkouts.run(Order("a"), idempotency_key="")),
        ]
        for mend, act in refused:
            with pytest.raises(MisuseError, match=mend):
                await act()
        with pytest.raises(CodecError, match=r"\$"):
            await checkouts.run("no order")
        with pytest.raises(MisuseError, match="below zero"):
            await workflow_send_client(client, checkout).run(Order("a"), delay=-timedelta(1))
    assert await rig.restate.invocations(checkout) == []
    assert await rig.restate.invocations(wallet) == []


def test_r14_a_plain_steps_context_is_no_way_to_call() -> None:
    context = StepContext(name="Pay", saga_id="inv", idempotency_key="k", services=None)
    with pytest.raises(MisuseError, match=r"step 'Pay', which is an action"):
        wrong(workflow_client)(context, Contract("W", Order, Receipt))


async def test_the_schemas_of_a_contract_are_those_of_discovery(rig: Rig) -> None:
    checkout = checkout_of(rig)
    wallet, _, _ = wallet_of(rig)

    class Wallet(ObjectContract, name=wallet.name):
        transfer = Call(Order, Receipt)
        get_balance = Call(None, int, name="getBalance")

    contract = Contract(checkout.name, Order, Receipt)
    assert checkout.contract == contract
    assert checkout.contract != Contract(checkout.name, Order, Order)
    assert len({checkout.contract, contract}) == 1
    await rig.serve(checkout, wallet)
    calls: list[tuple[str, Call[Any, Any]]] = [
        (checkout.name, contract.run),
        (wallet.name, Wallet.transfer),
        (wallet.name, Wallet.get_balance),
    ]
    for service, call in calls:
        response = await rig.restate.http.get(
            f"{rig.restate.admin}/services/{service}/handlers/{call.name}"
        )
        handler = response.json()
        assert handler.get("input_json_schema") == call.input_schema()
        assert handler.get("output_json_schema") == call.output_schema()


def test_r21_what_cannot_be_a_contract_is_refused() -> None:
    class_of = wrong(type(ObjectContract))
    for mend, name, handlers in (
        ("names no definition", {}, {}),
        ("which is a name of every contract", {"name": "X"}, {"calling": Call(None, int)}),
        (
            "two handlers 'a'",
            {"name": "X"},
            {"a": Call(None, int), "b": Call(None, int, name="a")},
        ),
        ("has the name ''", {"name": ""}, {}),
    ):
        with pytest.raises(MisuseError, match=mend):
            class_of("X", (ObjectContract,), handlers, **name)
    with pytest.raises(MisuseError, match="has the name ''"):
        Contract("", Order, Receipt)
    with pytest.raises(MisuseError, match="base of contracts"):
        wrong(object_client)(None, ObjectContract, "k")
