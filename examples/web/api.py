"""The application. It runs no saga: it calls them, through Restate, by their contract."""

# No `from __future__ import annotations`: FastAPI reads those of endpoints, which name `clients`.

from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response

from examples.web.contract import Checkout, Order, Receipt
from resaga import WorkflowClient, WorkflowSendClient
from resaga.ext.fastapi import SagaClients, SagaStatus

__all__ = ["create_api"]


def create_api(ingress: str) -> FastAPI:
    """The application, for any ASGI server; ``ingress`` is where Restate's ingress is."""
    # Who somebody is goes along with each call, and so does the Idempotency-Key, which is
    # taken for this user's own.
    clients = SagaClients(
        ingress,
        forward_headers=["x-tenant", "x-user", "traceparent"],
        idempotency_scope=lambda request: request.headers.get("x-user", ""),
    )
    api = FastAPI(title="Shop")
    clients.install(api)

    @api.post("/orders")
    async def order(
        order: Order,
        checkout: Annotated[
            WorkflowClient[Order, Receipt], Depends(clients.workflow_client(Checkout))
        ],
    ) -> Receipt:
        """Wait for the saga; if it fails for good, the answer is a problem with its status."""
        return await checkout.run(order)

    @api.post("/orders/later", status_code=202, response_model=SagaStatus)
    async def order_later(
        order: Order,
        request: Request,
        checkout: Annotated[
            WorkflowSendClient[Order, Receipt], Depends(clients.workflow_send_client(Checkout))
        ],
    ) -> Response:
        """Do not wait: the answer says where the saga's status is."""
        return await clients.accepted(request, await checkout.run(order))

    return api
