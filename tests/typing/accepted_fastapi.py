"""Clients as dependencies are typed by what they are clients of."""

from __future__ import annotations

from typing import assert_type

from fastapi import Request
from restate.context import WorkflowContext

from resaga import (
    Client,
    Contract,
    KeyedWorkflowClient,
    ObjectContract,
    Saga,
    SagaVirtualObject,
    WorkflowClient,
    WorkflowSendClient,
    object_client,
    saga_restate_workflow,
    saga_workflow,
)
from resaga.ext.fastapi import Dependency, Keyed, SagaClients
from tests.typing.domain import Order, Receipt

clients = SagaClients("http://127.0.0.1:8080", forward_headers=["x-tenant"])
wallet = SagaVirtualObject("Wallet")


class WalletContract(ObjectContract, name="Wallet"): ...


@saga_workflow("Checkout")
async def checkout(saga: Saga, order: Order) -> Receipt:
    raise NotImplementedError


@saga_restate_workflow("Approval")
async def approval(saga: Saga, ctx: WorkflowContext, order: Order) -> Receipt:
    raise NotImplementedError


def dependencies() -> None:
    plain = clients.workflow_client(checkout)
    assert_type(plain, Dependency[WorkflowClient[Order, Receipt]])
    by_contract = clients.workflow_client(Contract("Checkout", Order, Receipt))
    assert_type(by_contract, Dependency[WorkflowClient[Order, Receipt]])
    keyed = clients.workflow_client(approval)
    assert_type(keyed, Dependency[Keyed[KeyedWorkflowClient[Order, Receipt]]])
    later = clients.workflow_send_client(checkout)
    assert_type(later, Dependency[WorkflowSendClient[Order, Receipt]])
    assert_type(clients.object_client(wallet), Dependency[Keyed[Client]])
    assert_type(clients.object_client(WalletContract), Dependency[Keyed[WalletContract]])


async def endpoint(request: Request, order: Order) -> None:
    assert_type(await clients.workflow_client(checkout)(request).run(order), Receipt)
    assert_type(await clients.workflow_client(approval)(request)("key").run(order), Receipt)
    assert_type(object_client(clients(request), wallet, "anna"), Client)
