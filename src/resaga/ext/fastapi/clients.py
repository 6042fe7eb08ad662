"""Clients of sagas as dependencies of endpoints; 202, and the status of sagas."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar, overload
from urllib.parse import quote

import restate
from fastapi import APIRouter, FastAPI, Request, Response, params
from fastapi.responses import JSONResponse
from restate import HttpError, TerminalError
from restate.client_types import RestateClient

from resaga import (
    Client,
    Contract,
    KeyedWorkflowClient,
    MisuseError,
    ObjectContract,
    SagaRestateWorkflow,
    SagaWorkflow,
    SendClient,
    Sent,
    WorkflowClient,
    WorkflowContract,
    WorkflowSendClient,
    object_client,
    object_send_client,
    service_client,
    workflow_client,
    workflow_send_client,
)
from resaga.clients.transport import Forwarding, output_of
from resaga.ext.fastapi.problems import (
    SagaStatus,
    answer_refused,
    answer_terminal,
    problem_for,
    problem_of,
    problem_response,
)

__all__ = ["Dependency", "Keyed", "SagaClients"]

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")
ObjectT = TypeVar("ObjectT", bound=ObjectContract)
WorkflowT = TypeVar("WorkflowT", bound=WorkflowContract)

Dependency: TypeAlias = Callable[[Request], T]
"""What ``Depends(...)`` takes."""

Keyed: TypeAlias = Callable[[str], T]
"""Gives the client of a key."""

_NOT_READY = 470
"""How Restate's ingress answers for an invocation that has not ended."""
_NOT_FOR_FORWARDING = frozenset(
    [
        *("authorization", "cookie", "proxy-authorization"),
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("host", "idempotency-key", "te", "trailer", "transfer-encoding", "upgrade"),
    ]
)
"""They belong to one connection or body, have a way of their own, or are secrets, which would be
kept in the journal."""


class SagaClients:
    """Clients of Restate's ingress for the endpoints of a FastAPI application.

    `install` it into the application, and take clients as dependencies. Each call carries the
    ``Idempotency-Key`` of the incoming request and the headers you choose, so that the saga finds
    them in its `SagaRequest`. A `restate.TerminalError` that an endpoint lets pass is answered as
    a problem with its status.

    Example::

        clients = SagaClients("http://127.0.0.1:8080", forward_headers=["x-tenant", "traceparent"])
        app = FastAPI()
        clients.install(app)


        @app.post("/orders")
        async def order(
            order: Order,
            checkout: Annotated[
                WorkflowClient[Order, Receipt], Depends(clients.workflow_client(checkout))
            ],
        ) -> Receipt:
            return await checkout.run(order)
    """

    def __init__(
        self,
        ingress_url: str,
        *,
        forward_headers: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        idempotency_scope: Callable[[Request], str] | None = None,
        status_path: str = "/sagas/{saga_id}",
        status_dependencies: Sequence[params.Depends] = (),
    ) -> None:
        """Make them; nothing is opened before the application starts.

        Args:
            ingress_url: Address of Restate's ingress.
            forward_headers: Names of the headers that go with each call, where the incoming
                request has them: tenant, user, trace. They are kept in the journal.
            headers: Sent with every call: what the ingress itself asks for, a token say.
            idempotency_scope: Whose ``Idempotency-Key`` it is: a text that is put in front of it.
                Give it wherever callers do not trust each other; else who knows another's key
                gets the other's result. By default keys are taken as they come.
            status_path: Where the status of sagas is answered, with ``{saga_id}`` in it.
            status_dependencies: What guards that path: whoever passes can read the result of
                every invocation whose id is known to them.

        Raises:
            MisuseError: A header cannot be forwarded, or the path has no ``{saga_id}``.
        """
        for name in forward_headers:
            _check_header(name)
        if "{saga_id}" not in status_path:
            raise MisuseError(
                f"SagaClients has status_path={status_path!r}, which does not say whose status. "
                "Put {saga_id} into it: '/sagas/{saga_id}'."
            )
        self._ingress_url = ingress_url
        self._forward = tuple(forward_headers)
        self._headers = dict(headers or {})
        self._scope = idempotency_scope
        self._client: RestateClient | None = None
        self.router: APIRouter = APIRouter()
        self.router.add_api_route(
            status_path,
            self._status,
            name="saga_status",
            response_model=SagaStatus,
            response_model_exclude_unset=True,
            dependencies=list(status_dependencies),
            summary="How far a saga is",
        )

    # -- the application ---------------------------------------------------------------------

    def install(self, app: FastAPI) -> None:
        """Give the application its lifespan, the status path, and the answers to errors.

        Call it once, before the application starts. A lifespan that it has already runs inside
        this one.
        """
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(started: Any) -> AsyncGenerator[Any]:
            async with self.open(), inner(started) as state:
                yield state

        app.router.lifespan_context = lifespan
        app.include_router(self.router)
        app.add_exception_handler(TerminalError, answer_terminal)
        app.add_exception_handler(HttpError, answer_refused)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Hold the connections to the ingress; the application's lifespan does this.

        Raises:
            MisuseError: They are open already.
        """
        if self._client is not None:
            raise MisuseError(
                "This SagaClients is open already. One serves one application at a time; make one "
                "for each."
            )
        create: Any = vars(restate)["create_client"]  # Its annotation is not complete.
        opening: AbstractAsyncContextManager[RestateClient] = create(
            self._ingress_url, headers=self._headers
        )
        async with opening as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None

    # -- dependencies --------------------------------------------------------------------------

    def __call__(self, request: Request) -> Forwarding:
        """A dependency, what calls of this request go through: ``workflow_client(via, ...)``.

        Example::

            @app.post("/wallets/{owner}/transfers")
            async def transfer(owner: str, order: Transfer, via: Annotated[Via, Depends(clients)]):
                return await object_client(via, wallet, owner).call(wallet_transfer, order)
        """
        headers = {
            name: _ascii(name, ", ".join(values))
            for name in self._forward
            if (values := request.headers.getlist(name))
        }
        key = request.headers.get("idempotency-key") or None
        if key is not None:
            key = _ascii("Idempotency-Key", key)
            if self._scope is not None:
                # Quoted, so that no scope and key look like another's.
                key = f"{quote(self._scope(request), safe='')}/{key}"
        return Forwarding(client=self._opened(), headers=headers, idempotency_key=key)

    @overload
    def workflow_client(
        self, definition: SagaWorkflow[In, Out, Any] | Contract[In, Out], /
    ) -> Dependency[WorkflowClient[In, Out]]: ...
    @overload
    def workflow_client(
        self, definition: SagaRestateWorkflow[In, Out, Any], /
    ) -> Dependency[Keyed[KeyedWorkflowClient[In, Out]]]: ...
    @overload
    def workflow_client(self, definition: type[WorkflowT], /) -> Dependency[Keyed[WorkflowT]]: ...
    def workflow_client(self, definition: Any, /) -> Dependency[Any]:
        """A dependency: the client of a workflow; of a keyed one, a function of the key.

        Args:
            definition: A workflow, a Restate workflow, or the contract of one.
        """
        return self._dependency(workflow_client, definition, keyed=_is_keyed(definition))

    @overload
    def workflow_send_client(
        self, definition: SagaWorkflow[In, Out, Any] | Contract[In, Out], /
    ) -> Dependency[WorkflowSendClient[In, Out]]: ...
    @overload
    def workflow_send_client(
        self, definition: SagaRestateWorkflow[In, Out, Any], /
    ) -> Dependency[Keyed[WorkflowSendClient[In, Out]]]: ...
    @overload
    def workflow_send_client(
        self, definition: type[WorkflowContract], /
    ) -> Dependency[Keyed[WorkflowSendClient[Any, Any]]]: ...
    def workflow_send_client(self, definition: Any, /) -> Dependency[Any]:
        """A dependency: what begins a workflow, and does not wait; see `accepted`.

        Args:
            definition: A workflow, a Restate workflow, or the contract of one.
        """
        return self._dependency(workflow_send_client, definition, keyed=_is_keyed(definition))

    @overload
    def object_client(self, definition: type[ObjectT], /) -> Dependency[Keyed[ObjectT]]: ...
    @overload
    def object_client(self, definition: restate.VirtualObject, /) -> Dependency[Keyed[Client]]: ...
    def object_client(self, definition: Any, /) -> Dependency[Keyed[Any]]:
        """A dependency: a function of the key that gives the client of that virtual object.

        Args:
            definition: A virtual object, or its contract.
        """
        return self._dependency(object_client, definition, keyed=True)

    def object_send_client(
        self, definition: type[ObjectContract] | restate.VirtualObject, /
    ) -> Dependency[Keyed[SendClient]]:
        """A dependency: likewise, for what begins a handler of it, and does not wait.

        Args:
            definition: A virtual object, or its contract.
        """
        return self._dependency(object_send_client, definition, keyed=True)

    def service_client(self, definition: restate.Service, /) -> Dependency[Client]:
        """A dependency: the client of a service.

        Args:
            definition: A `restate.Service`.
        """
        return self._dependency(service_client, definition, keyed=False)

    # -- long sagas ----------------------------------------------------------------------------

    async def accepted(self, request: Request, sent: Sent[Any]) -> JSONResponse:
        """Answer 202 for a saga that goes on, with the address of its status.

        Args:
            request: The incoming request.
            sent: What a send client gave.

        Returns:
            A response with ``Location`` and a `SagaStatus`.

        Example::

            @app.post("/orders", status_code=202, response_model=SagaStatus)
            async def order(request: Request, order: Order, checkout: CheckoutSend) -> Response:
                return await clients.accepted(request, await checkout.run(order))
        """
        saga_id = await sent.invocation_id()
        # The path alone: which host the caller sees, a proxy may know better.
        location = request.url_for("saga_status", saga_id=saga_id).path
        status = SagaStatus(id=saga_id, status="running")
        return JSONResponse(
            status.model_dump(exclude_unset=True),
            status_code=HTTPStatus.ACCEPTED,
            headers={"location": location},
        )

    async def _status(self, saga_id: str) -> Response:
        try:
            raw = await output_of(self._opened(), saga_id)
        except TerminalError as error:
            problem = problem_for(error)
            return JSONResponse({"id": saga_id, "status": "failed", "error": problem})
        except HttpError as error:
            if error.status_code == _NOT_READY:
                return JSONResponse(
                    {"id": saga_id, "status": "running"}, headers={"retry-after": "1"}
                )
            if error.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                return problem_response(
                    problem_of(
                        HTTPStatus.NOT_FOUND,
                        "There is no such saga, or its result is kept no longer.",
                    )
                )
            raise
        return JSONResponse({"id": saga_id, "status": "completed", "result": _result(raw)})

    # -- inside --------------------------------------------------------------------------------

    def _opened(self) -> RestateClient:
        if self._client is None:
            raise MisuseError(
                "This SagaClients is not open. clients.install(app) opens it when the application "
                "starts; where no lifespan runs, as in tests over httpx.ASGITransport, write "
                "`async with clients.open():` around them."
            )
        return self._client

    def _dependency(
        self, make: Callable[..., Any], definition: object, *, keyed: bool
    ) -> Dependency[Any]:
        def dependency(request: Request) -> Any:
            via = self(request)

            def of(key: str) -> Any:
                return make(via, definition, key)

            return of if keyed else make(via, definition)

        return dependency


def _is_keyed(definition: object) -> bool:
    return isinstance(definition, (type, restate.Workflow))


def _check_header(name: str) -> None:
    lower = name.lower()
    if lower in _NOT_FOR_FORWARDING or lower.startswith("x-restate-"):
        raise MisuseError(
            f"SagaClients is to forward {name!r}. It belongs to the request alone, is a secret, or "
            "Restate has a use for it of its own. Forward headers that say who and what for; the "
            "Idempotency-Key always is."
        )


def _ascii(name: str, value: str) -> str:
    if not value.isascii():
        raise TerminalError(f"The header {name} has characters that are not ASCII.", 400)
    return value


def _result(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:  # A handler with a serde of its own.
        return raw.decode(errors="replace")
