"""Clients that begin something and do not wait: sends, and what they give."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Never, assert_type

from resaga import (
    SendClient,
    Sent,
    Via,
    WorkflowSendClient,
    object_send_client,
    service_send_client,
    workflow_send_client,
)
from tests.typing.accepted_clients import (
    Approval,
    Checkout,
    Nothing,
    Wallet,
    add,
    counter,
    peek,
    pricing,
    printing,
    quote,
    stop,
    total,
)
from tests.typing.accepted_keyed import approval, approve, status
from tests.typing.accepted_objects import get_balance, transfer, wallet
from tests.typing.accepted_workflows import alone, checkout
from tests.typing.domain import Order, Receipt, RushOrder

DAY = timedelta(days=1)


async def sent(via: Via, order: Order) -> None:
    first = await workflow_send_client(via, checkout).run(order)
    assert_type(first, Sent[Receipt])
    assert_type(await first.invocation_id(), str)
    assert_type(await first.attach(), Receipt)
    wider: Sent[object] = first
    bare: Sent = first
    print(wider, bare)


async def workflows(via: Via, order: Order, rush: RushOrder) -> None:
    client = workflow_send_client(via, checkout)
    assert_type(client, WorkflowSendClient[Order, Receipt])
    await assert_type(client.run(order), Coroutine[object, Never, Sent[Receipt]])
    assert_type(
        await client.run(rush, delay=DAY, idempotency_key="k-1", headers={"a": "b"}),
        Sent[Receipt],
    )
    assert_type(await client.call(checkout.run, order, delay=DAY), Sent[Receipt])
    assert_type(await client.call(Checkout.run, order), Sent[Receipt])
    assert_type(await workflow_send_client(via, alone).run(), Sent[None])
    assert_type(await workflow_send_client(via, alone).run(delay=DAY), Sent[None])
    assert_type(await workflow_send_client(via, Checkout).run(order), Sent[Receipt])
    assert_type(await workflow_send_client(via, Nothing).run(), Sent[None])
    assert_type(await service_send_client(via, checkout).run(order), Sent[Receipt])
    assert_type(service_send_client(via, checkout), WorkflowSendClient[Order, Receipt])
    assert_type(await service_send_client(via, Checkout).run(order), Sent[Receipt])


async def keyed(via: Via, order: Order) -> None:
    client = workflow_send_client(via, approval, "order-7")
    assert_type(client, WorkflowSendClient[Order, Receipt])
    assert_type(await client.run(order, delay=DAY), Sent[Receipt])
    assert_type(await client.call(approve, True), Sent[None])
    assert_type(await client.call(status), Sent[list[str]])
    assert_type(await client.call(Approval.approve, True, delay=DAY), Sent[None])
    by_contract = workflow_send_client(via, Approval, "order-7")
    assert_type(by_contract, WorkflowSendClient[Any, Any])
    assert_type(await by_contract.call(Approval.run, order), Sent[Receipt])
    assert_type(await by_contract.call(Approval.status), Sent[list[str]])
    of_the_sdk = workflow_send_client(via, printing, "order-7")
    assert_type(await of_the_sdk.call(stop, "too late"), Sent[None])


async def objects(via: Via, order: Order, rush: RushOrder) -> None:
    client = object_send_client(via, wallet, "anna")
    assert_type(client, SendClient)
    assert_type(await client.call(transfer, order), Sent[Receipt])
    assert_type(
        await client.call(transfer, rush, delay=DAY, idempotency_key="k-1", headers={"a": "b"}),
        Sent[Receipt],
    )
    assert_type(await client.call(get_balance), Sent[int])
    assert_type(await client.transfer(order), Sent[Any])
    by_contract = object_send_client(via, Wallet, "anna")
    assert_type(await by_contract.call(Wallet.transfer, order), Sent[Receipt])
    assert_type(await by_contract.call(Wallet.get_balance), Sent[int])
    of_the_sdk = object_send_client(via, counter, "c")
    assert_type(await of_the_sdk.call(add, 7), Sent[int])
    assert_type(await of_the_sdk.call(peek), Sent[int])


async def services(via: Via, order: Order) -> None:
    client = service_send_client(via, pricing)
    assert_type(client, SendClient)
    assert_type(await client.call(quote, order), Sent[int])
    assert_type(await client.call(total, delay=DAY), Sent[float])
