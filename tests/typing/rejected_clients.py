"""Mistakes with clients, sends and contracts, reported by mypy and pyright; none runs.

See `rejected_steps` for how a line proves that.
"""

from __future__ import annotations

from datetime import timedelta

from resaga import (
    Call,
    CompensationContext,
    Contract,
    KeyedWorkflowClient,
    ObjectContract,
    Saga,
    Sent,
    StepContext,
    Via,
    WorkflowClient,
    object_client,
    object_send_client,
    service_client,
    service_send_client,
    workflow_client,
    workflow_send_client,
)
from tests.typing.accepted_clients import (
    Approval,
    Checkout,
    Nothing,
    Wallet,
    add,
    counter,
    pricing,
    printing,
    quote,
    total,
)
from tests.typing.accepted_keyed import approval, approve, status
from tests.typing.accepted_objects import get_balance, transfer, wallet
from tests.typing.accepted_workflows import alone, checkout
from tests.typing.domain import Order, Paid, Receipt, Reserved


def vias(via: Via, step: StepContext, undo: CompensationContext) -> None:
    workflow_client(step, checkout)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # an action has no Restate context
    workflow_client(undo, checkout)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow_client(None, checkout)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow_client("http://127.0.0.1:8080", checkout)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow_client(step, approval, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_client(step, Approval, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(step, wallet, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(undo, Wallet, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    service_client(step, pricing)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_send_client(step, checkout)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    object_send_client(step, wallet, "anna")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    service_send_client(undo, pricing)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_client(checkout)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # nothing to call through
    workflow_client(checkout, via)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def keys(via: Via) -> None:
    workflow_client(via, checkout, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it has no keys
    workflow_client(via, Checkout, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_client(via, approval)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # it is keyed
    workflow_client(via, Approval)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow_client(via, printing)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow_client(via, approval, 7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # keys are text
    workflow_client(via, approval, None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(via, wallet)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    object_client(via, Wallet)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    object_client(via, wallet, None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(via, counter, 7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    service_client(via, pricing, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    workflow_send_client(via, checkout, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_send_client(via, approval)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow_send_client(via, Approval)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    object_send_client(via, wallet)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    service_send_client(via, pricing, "order-7")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    workflow_client(via, checkout, key="order-7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def kinds(via: Via) -> None:
    workflow_client(via, wallet, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_client(via, Wallet, "anna")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow_client(via, pricing)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    object_client(via, checkout, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(via, approval, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(via, Approval, "anna")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_client(via, Checkout, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    service_client(via, wallet)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    service_client(via, approval)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    service_client(via, checkout.run)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a definition, not its handler
    object_client(via, transfer, "anna")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    object_send_client(via, Approval, "anna")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def inputs(via: Via, order: Order) -> None:
    paid = Paid("charge-1")
    await workflow_client(via, checkout).run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, checkout).run()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await workflow_client(via, checkout).run(order, order)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    await workflow_client(via, checkout).run(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, alone).run(order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, Checkout).run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, Nothing).run(order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await service_client(via, checkout).run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await service_client(via, Checkout).run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, checkout).call(checkout.run, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_client(via, checkout).call(checkout.run)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_client(via, checkout).call(Checkout.run, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_client(via, approval, "order-7").run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, approval, "order-7").call(approve, "yes")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_client(via, approval, "order-7").call(approve)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_client(via, approval, "order-7").call(status, "yes")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_client(via, Approval, "order-7").run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, Approval, "order-7").approve("yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, Approval, "order-7").approve()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await workflow_client(via, Approval, "order-7").status("yes")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await object_client(via, wallet, "anna").call(transfer, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_client(via, wallet, "anna").call(transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_client(via, wallet, "anna").call(get_balance, order)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_client(via, wallet, "anna").call(Wallet.transfer, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_client(via, wallet, "anna").call(Wallet.transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_client(via, wallet, "anna").call("transfer", order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a handler, not its name
    await object_client(via, Wallet, "anna").transfer(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await object_client(via, Wallet, "anna").transfer()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await object_client(via, Wallet, "anna").get_balance(order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await object_client(via, counter, "c").call(add, "7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await service_client(via, pricing).call(quote, paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await service_client(via, pricing).call(quote)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await service_client(via, pricing).call(total, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def names(via: Via, order: Order) -> None:
    await object_client(via, Wallet, "anna").withdraw(order)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await object_client(via, Wallet, "anna").getBalance()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # its name in the contract, not on the wire
    await workflow_client(via, Approval, "order-7").call(approve, True)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await workflow_client(via, Approval, "order-7").attach()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def outputs(via: Via, order: Order) -> None:
    receipt: Reserved = await workflow_client(via, checkout).run(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    attached: Paid = await workflow_client(via, approval, "order-7").attach()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    answer: int = await workflow_client(via, Approval, "order-7").status()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    result: Paid = await object_client(via, Wallet, "anna").transfer(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    balance: str = await object_client(via, wallet, "anna").call(get_balance)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    price: str = await service_client(via, pricing).call(quote, order)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    late: Receipt = workflow_client(via, checkout).run(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    sent: Sent[Paid] = await workflow_send_client(via, checkout).run(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    done: Paid = await (await workflow_send_client(via, checkout).run(order)).attach()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_client: WorkflowClient[Paid, Receipt] = workflow_client(via, checkout)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    not_keyed: KeyedWorkflowClient[Order, Receipt] = workflow_client(via, checkout)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(receipt, attached, answer, result, balance, price, late, sent, done)
    print(wrong_client, not_keyed)


async def forgotten(via: Via, order: Order) -> None:
    workflow_client(via, checkout).run(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    workflow_client(via, alone).run()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    workflow_client(via, Checkout).run(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    workflow_client(via, approval, "order-7").call(approve, True)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    workflow_client(via, approval, "order-7").attach()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    workflow_client(via, Approval, "order-7").approve(True)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    object_client(via, wallet, "anna").call(transfer, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    object_client(via, wallet, "anna").transfer(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    object_client(via, Wallet, "anna").transfer(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    service_client(via, pricing).call(quote, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    workflow_send_client(via, checkout).run(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    object_send_client(via, wallet, "anna").call(transfer, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    object_send_client(via, wallet, "anna").transfer(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    service_send_client(via, pricing).call(quote, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    (await workflow_send_client(via, checkout).run(order)).attach()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    (await workflow_send_client(via, checkout).run(order)).invocation_id()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


async def sends(via: Via, order: Order) -> None:
    paid = Paid("charge-1")
    await workflow_send_client(via, checkout).run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_send_client(via, checkout).run()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await workflow_send_client(via, alone).run(order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await workflow_send_client(via, Checkout).run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_send_client(via, checkout).call(Checkout.run, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await workflow_send_client(via, approval, "order-7").run(paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_send_client(via, approval, "order-7").call(approve, "yes")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_send_client(via, wallet, "anna").call(transfer, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_send_client(via, wallet, "anna").call(transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_send_client(via, wallet, "anna").call(Wallet.transfer, paid)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_send_client(via, Wallet, "anna").call(Wallet.get_balance, 7)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await service_send_client(via, pricing).call(quote, paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await service_send_client(via, pricing).call(total, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def delivery(via: Via, saga: Saga, order: Order) -> None:
    await workflow_client(via, checkout).run(order, delay=timedelta(days=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # calls do not wait
    await workflow_client(via, checkout).run(order, idempotency_key=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, checkout).run(order, headers=["tenant"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, checkout).run(order, headers={"tenant": 7})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    await workflow_client(via, checkout).run(order, key="order-7")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await workflow_client(via, Approval, "order-7").approve(True, delay=timedelta(days=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await object_client(via, wallet, "anna").call(transfer, order, idempotency_key=7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await object_client(via, Wallet, "anna").transfer(order, headers=["tenant"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await workflow_send_client(via, checkout).run(order, delay=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no timedelta
    await object_send_client(via, wallet, "anna").call(transfer, order, delay=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await service_send_client(saga, pricing).call(quote, order, delay="1d")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def contracts() -> None:
    Contract("Checkout", Order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Contract(Order, Receipt)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    Contract("Checkout", 7, Receipt)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no type
    Contract(7, Order, Receipt)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Call(Order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Call(7, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Call(Order, Receipt, "getBalance")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # by position
    Call(Order, Receipt, name=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong_input: Contract[Paid, Receipt] = Checkout  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_output: Contract[Order, Paid] = Checkout  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_own: Contract[Paid, Receipt] = checkout.contract  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_call: Call[Paid, Receipt] = Wallet.transfer  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    class WrongName(ObjectContract, name=7):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
        pass

    print(wrong_input, wrong_output, wrong_own, wrong_call, WrongName, Wallet.withdraw)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
