"""Clients: calling workflows, services and objects, from inside Restate and from outside."""

from __future__ import annotations

from typing import Any, TypeAlias, cast, overload

import restate
from restate.client_types import RestateClient
from restate.context import Context
from typing_extensions import TypeVar

from resaga.clients.calling import Client, KeyedWorkflowClient, WorkflowClient
from resaga.clients.sending import SendClient, WorkflowSendClient
from resaga.clients.targets import Targets, targets_of
from resaga.clients.transport import Forwarding, Transport, transport_of
from resaga.contexts import DurableCompensationContext, DurableStepContext
from resaga.contracts import Contract, ObjectContract, WorkflowContract
from resaga.definitions.restate_workflow import SagaRestateWorkflow
from resaga.definitions.workflow import SagaWorkflow
from resaga.errors import MisuseError
from resaga.saga import Saga

__all__ = [
    "Via",
    "object_client",
    "object_send_client",
    "service_client",
    "service_send_client",
    "workflow_client",
    "workflow_send_client",
]

In = TypeVar("In")
Out = TypeVar("Out")
ObjectT = TypeVar("ObjectT", bound=ObjectContract)
WorkflowT = TypeVar("WorkflowT", bound=WorkflowContract)

Via: TypeAlias = (
    Saga[Any]
    | DurableStepContext[Any]
    | DurableCompensationContext[Any, Any]
    | Context
    | RestateClient
    | Forwarding
)
"""What calls are made through: a saga, the context of a durable step or compensation, a Restate
context, or what ``restate.create_client(...)`` gives. `resaga.ext.fastapi` gives one that carries
what an incoming request brought."""


@overload
def service_client(
    via: Via,
    definition: SagaWorkflow[In, Out, Any] | Contract[In, Out],
) -> WorkflowClient[In, Out]: ...
@overload
def service_client(via: Via, definition: restate.Service) -> Client: ...
def service_client(
    via: Via,
    definition: restate.Service | SagaWorkflow[Any, Any, Any] | Contract[Any, Any],
) -> Client:
    """A client of a service.

    Args:
        via: What it calls through, see `Via`.
        definition: A `restate.Service`, a workflow, or a `Contract`.

    Returns:
        A `Client`; of a workflow or contract a `WorkflowClient`.

    Raises:
        MisuseError: It cannot be called, or not through that.

    Example::

        quote = await service_client(saga, pricing).call(get_quote, order)
    """
    return WorkflowClient[Any, Any](*_reach(via, definition, None))


@overload
def workflow_client(
    via: Via,
    definition: SagaWorkflow[In, Out, Any] | Contract[In, Out],
) -> WorkflowClient[In, Out]: ...
@overload
def workflow_client(
    via: Via,
    definition: SagaRestateWorkflow[In, Out, Any],
    key: str,
) -> KeyedWorkflowClient[In, Out]: ...
@overload
def workflow_client(via: Via, definition: type[WorkflowT], key: str) -> WorkflowT: ...
@overload
def workflow_client(
    via: Via,
    definition: restate.Workflow,
    key: str,
) -> KeyedWorkflowClient[Any, Any]: ...
def workflow_client(via: Via, definition: object, key: str | None = None) -> object:
    """A client of a workflow: of a plain one without a key, of a Restate workflow with one.

    Args:
        via: What it calls through, see `Via`.
        definition: A workflow, a `Contract`, or a `WorkflowContract`.
        key: Which run of a Restate workflow.

    Returns:
        A `WorkflowClient`, a `KeyedWorkflowClient`, or the contract itself as a client.

    Raises:
        MisuseError: A key where none belongs, none where one is needed; or it cannot be called.

    Example::

        receipt = await workflow_client(saga, checkout).run(order)
        await workflow_client(client, approval, "order-7").call(approve, True)
    """
    reach = _reach(via, definition, key)
    if isinstance(definition, type):
        return cast("type[WorkflowContract]", definition)(Client(*reach))
    if key is None:
        return WorkflowClient[Any, Any](*reach)
    return KeyedWorkflowClient[Any, Any](*reach)


@overload
def object_client(via: Via, definition: type[ObjectT], key: str) -> ObjectT: ...
@overload
def object_client(via: Via, definition: restate.VirtualObject, key: str) -> Client: ...
def object_client(via: Via, definition: object, key: str) -> object:
    """A client of one virtual object.

    Args:
        via: What it calls through, see `Via`.
        definition: A `restate.VirtualObject`, resaga's included, or an `ObjectContract`.
        key: Which object.

    Returns:
        A `Client`, or the contract itself as a client.

    Raises:
        MisuseError: It cannot be called, or not through that; or there is no key.

    Example::

        result = await object_client(saga, wallet, "anna").call(transfer, order)
        balance = await object_client(saga, Wallet, "anna").get_balance()
    """
    reach = _reach(via, definition, key)
    if isinstance(definition, type):
        return cast("type[ObjectContract]", definition)(Client(*reach))
    return Client(*reach)


@overload
def service_send_client(
    via: Via,
    definition: SagaWorkflow[In, Out, Any] | Contract[In, Out],
) -> WorkflowSendClient[In, Out]: ...
@overload
def service_send_client(via: Via, definition: restate.Service) -> SendClient: ...
def service_send_client(via: Via, definition: object) -> SendClient:
    """A client that begins handlers of a service, and does not wait; see `service_client`.

    Args:
        via: What it sends through, see `Via`.
        definition: A `restate.Service`, a workflow, or a `Contract`.

    Returns:
        A `SendClient`; of a workflow or contract a `WorkflowSendClient`.

    Raises:
        MisuseError: It cannot be called, or not through that.

    Example::

        await service_send_client(saga, mails).call(send_receipt, receipt)
    """
    return WorkflowSendClient[Any, Any](*_reach(via, definition, None))


@overload
def workflow_send_client(
    via: Via,
    definition: SagaWorkflow[In, Out, Any] | Contract[In, Out],
) -> WorkflowSendClient[In, Out]: ...
@overload
def workflow_send_client(
    via: Via,
    definition: SagaRestateWorkflow[In, Out, Any],
    key: str,
) -> WorkflowSendClient[In, Out]: ...
@overload
def workflow_send_client(
    via: Via,
    definition: type[WorkflowContract] | restate.Workflow,
    key: str,
) -> WorkflowSendClient[Any, Any]: ...
def workflow_send_client(
    via: Via,
    definition: object,
    key: str | None = None,
) -> WorkflowSendClient[Any, Any]:
    """A client that begins a workflow, and does not wait; see `workflow_client`.

    Args:
        via: What it sends through, see `Via`.
        definition: A workflow, a `Contract`, or a `WorkflowContract`.
        key: Which run of a Restate workflow.

    Returns:
        A `WorkflowSendClient`; what its ``run`` gives can be attached to.

    Raises:
        MisuseError: A key where none belongs, none where one is needed; or it cannot be called.

    Example::

        sent = await workflow_send_client(client, approval, "order-7").run(request)
        decision = await sent.attach()
    """
    return WorkflowSendClient[Any, Any](*_reach(via, definition, key))


def object_send_client(
    via: Via,
    definition: type[ObjectContract] | restate.VirtualObject,
    key: str,
) -> SendClient:
    """A client that begins handlers of one virtual object, and does not wait.

    Args:
        via: What it sends through, see `Via`.
        definition: A `restate.VirtualObject`, resaga's included, or an `ObjectContract`.
        key: Which object.

    Returns:
        A `SendClient`.

    Raises:
        MisuseError: It cannot be called, or not through that; or there is no key.

    Example::

        await object_send_client(saga, wallet, "anna").call(
            transfer, order, delay=timedelta(days=1)
        )
    """
    return SendClient(*_reach(via, definition, key))


def _reach(
    via: object, definition: object, key: str | None
) -> tuple[Transport, Targets, str | None]:
    targets = targets_of(definition)
    if targets.keyed and not (isinstance(key, str) and key):
        raise MisuseError(
            f"A client of {targets.name} has the key {key!r}. It is keyed, so every call goes to "
            "one key: give it, as the last argument."
        )
    if not targets.keyed and key is not None:
        raise MisuseError(
            f"A client of {targets.name} has the key {key!r}. It has no keys: leave it out, or "
            "give it as idempotency_key= of a call."
        )
    return transport_of(via), targets, key
