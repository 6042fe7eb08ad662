"""A FastAPI application in front of sagas: clients, forwarding, problems, 202 and status (R24)."""

# No `from __future__ import annotations`: FastAPI reads those of endpoints, which name what is
# local to the function around them.

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from restate import ObjectContext, ObjectSharedContext, TerminalError, WorkflowContext

from resaga import (
    Call,
    KeyedWorkflowClient,
    MisuseError,
    ObjectContract,
    Saga,
    SagaRequest,
    SagaVirtualObject,
    Via,
    WorkflowClient,
    WorkflowSendClient,
    create_saga_restate_workflow,
    create_saga_workflow,
    object_client,
    saga_workflow,
)
from resaga.ext.fastapi import Keyed, SagaClients, SagaStatus
from tests.support import Gate, Rig, until
from tests.support.serving import Definition


@dataclass
class Order:
    product: str
    amount: int = 1


@dataclass
class Receipt:
    product: str
    tenant: str
    saga_id: str


@dataclass
class Tenant:
    name: str
    headers: dict[str, str]


@asynccontextmanager
async def tenant_of(request: SagaRequest[Any]) -> AsyncGenerator[Tenant]:
    headers = dict(request.headers)
    yield Tenant(headers.get("x-tenant", "nobody"), headers)


class Shop:
    """A rig with an application in front of it."""

    def __init__(self, rig: Rig, **options: Any) -> None:
        self.rig = rig
        self.gate: Gate = rig.gate()
        self.headers: list[dict[str, str]] = []
        self.events: list[str] = []
        forwarded = ["X-Tenant", "x-user", "traceparent"]
        self.clients = SagaClients(rig.restate.ingress, forward_headers=forwarded, **options)
        self.app = FastAPI(lifespan=self._lifespan)
        self.clients.install(self.app)
        reserve = rig.step("Reserve")
        stuck = rig.step("Stuck", undo_fails=TerminalError("the shelf is locked", 423))

        @saga_workflow(rig.name("Checkout"), services_from=tenant_of)
        async def checkout(saga: Saga[Tenant], order: Order) -> Receipt:
            self.headers.append(saga.services.headers)
            await reserve(saga, order.product)
            if order.product == "slow":
                await self.hold(saga)
            if order.amount > 1000:
                raise TerminalError("card declined", 402, {"secret": "4711"})
            if order.amount > 100:
                await stuck(saga, order.product)
                raise TerminalError("sold out", 409)
            if order.amount < 0:
                raise TerminalError("who would have thought", 999)
            return Receipt(order.product, saga.services.name, saga.id)

        self.checkout = checkout

        wallet = SagaVirtualObject(rig.name("Wallet"))

        @wallet.handler()
        async def add(saga: Saga, ctx: ObjectContext, amount: int) -> int:
            total = (await ctx.get("total", type_hint=int) or 0) + amount
            ctx.set("total", total)
            return total

        @wallet.handler("getTotal", kind="shared")
        async def get_total(ctx: ObjectSharedContext) -> int:
            return await ctx.get("total", type_hint=int) or 0

        class WalletContract(ObjectContract, name=wallet.name):
            add = Call(int, int)
            get_total = Call(None, int, name="getTotal")

        async def approve(saga: Saga, ctx: WorkflowContext, order: Order) -> str:
            return f"{ctx.key()}: {order.product}"

        approval = create_saga_restate_workflow(rig.name("Approval"), approve)

        async def nothing(saga: Saga) -> None: ...

        idle = create_saga_workflow(rig.name("Idle"), nothing)
        self.served: list[Definition] = [checkout, wallet, approval, idle]
        app, clients = self.app, self.clients

        @app.post("/orders")
        async def order(
            order: Order,
            client: Annotated[
                WorkflowClient[Order, Receipt], Depends(clients.workflow_client(checkout))
            ],
        ) -> Receipt:
            return await client.run(order)

        @app.post("/orders/twice")
        async def twice(
            order: Order,
            client: Annotated[
                WorkflowClient[Order, Receipt], Depends(clients.workflow_client(checkout))
            ],
            own: str | None = None,
        ) -> list[Receipt]:
            return [await client.run(order), await client.run(order, idempotency_key=own)]

        @app.post("/orders/later", status_code=202, response_model=SagaStatus)
        async def later(
            request: Request,
            order: Order,
            client: Annotated[
                WorkflowSendClient[Order, Receipt],
                Depends(clients.workflow_send_client(checkout)),
            ],
        ) -> Response:
            return await clients.accepted(request, await client.run(order))

        @app.post("/idle", status_code=202)
        async def begin_idle(
            request: Request,
            client: Annotated[
                WorkflowSendClient[None, None], Depends(clients.workflow_send_client(idle))
            ],
        ) -> Response:
            return await clients.accepted(request, await client.run())

        @app.post("/approvals/{key}")
        async def approve_it(
            key: str,
            order: Order,
            approvals: Annotated[
                Keyed[KeyedWorkflowClient[Order, str]], Depends(clients.workflow_client(approval))
            ],
        ) -> str:
            return await approvals(key).run(order)

        @app.post("/wallets/{owner}")
        async def add_to(
            owner: str,
            amount: int,
            wallets: Annotated[
                Keyed[WalletContract], Depends(clients.object_client(WalletContract))
            ],
            via: Annotated[Via, Depends(clients)],
        ) -> list[int]:
            total = await wallets(owner).add(amount)
            return [total, await object_client(via, wallet, owner).call(get_total)]

        @app.post("/nowhere")
        async def nowhere(via: Annotated[Via, Depends(clients)]) -> int:
            return await object_client(via, Nowhere, "x").add(1)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        self.events.append("up")
        yield {"shop": self}
        self.events.append("down")

    async def hold(self, saga: Saga[Any]) -> None:
        step = self.rig.step("Hold", gate=self.gate)
        await step(saga, None)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[httpx.AsyncClient]:
        await self.rig.serve(*self.served)
        transport = httpx.ASGITransport(app=self.app)
        async with (
            self.app.router.lifespan_context(self.app),
            httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=60) as client,
        ):
            yield client


class Nowhere(ObjectContract, name="NowhereToBeFound"):
    add = Call(int, int)


@pytest.fixture
async def shop(rig: Rig) -> AsyncIterator[tuple[Shop, httpx.AsyncClient]]:
    shop = Shop(rig)
    async with shop.open() as client:
        yield shop, client


async def test_an_endpoint_calls_with_what_the_request_brought(
    shop: tuple[Shop, httpx.AsyncClient],
) -> None:
    here, client = shop
    answer = await client.post(
        "/orders",
        json={"product": "tea"},
        headers={"x-tenant": "acme", "x-user": "anna", "x-other": "not forwarded"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["tenant"] == "acme"
    seen = here.headers[-1]
    assert (seen["x-tenant"], seen["x-user"]) == ("acme", "anna")
    assert "x-other" not in seen
    assert here.events == ["up"], "the application's own lifespan runs, too"


async def test_an_idempotency_key_makes_a_repeated_request_one_saga(
    shop: tuple[Shop, httpx.AsyncClient],
) -> None:
    here, client = shop

    async def order(key: str | None) -> str:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await client.post("/orders", json={"product": "tea"}, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["saga_id"])

    ids = [await order("one"), await order("one"), await order("two"), await order(None)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert here.rig.ledger.count("do Reserve") == 3


async def test_one_key_is_for_one_call_of_a_handler(shop: tuple[Shop, httpx.AsyncClient]) -> None:
    here, client = shop
    order, headers = {"product": "tea"}, {"Idempotency-Key": "one"}
    with pytest.raises(MisuseError, match=r"called twice in one request.*idempotency_key="):
        await client.post("/orders/twice", json=order, headers=headers)
    answer = await client.post("/orders/twice?own=another", json=order, headers=headers)
    first, second = answer.json()
    assert first["saga_id"] != second["saga_id"]
    assert here.rig.ledger.count("do Reserve") == 2


async def test_a_key_is_its_owners_where_a_scope_tells_them_apart(rig: Rig) -> None:
    def user(request: Request) -> str:
        return request.headers["x-user"]

    here = Shop(rig, idempotency_scope=user)
    async with here.open() as client:
        ids = [
            (
                await client.post(
                    "/orders",
                    json={"product": "tea"},
                    headers={"Idempotency-Key": key, "x-user": name},
                )
            ).json()["saga_id"]
            for name, key in (("a", "b/c"), ("a/b", "c"), ("b", "b/c"), ("a", "b/c"))
        ]
    assert ids[0] == ids[3]
    assert len(set(ids)) == 3


async def test_terminal_errors_are_problems(shop: tuple[Shop, httpx.AsyncClient]) -> None:
    _, client = shop
    answer = await client.post("/orders", json={"product": "tea", "amount": 1001})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()) == (
        402,
        {
            "type": "about:blank",
            "title": "Payment Required",
            "status": 402,
            "detail": "card declined",
        },
    )
    answer = await client.post("/orders", json={"product": "tea", "amount": 101})
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["resaga.rollback"] == "incomplete"
    assert "sold out" in problem["detail"]
    assert set(problem) == {"type", "title", "status", "detail", "resaga.rollback"}
    answer = await client.post("/orders", json={"product": "tea", "amount": -1})
    assert (answer.status_code, answer.json()["status"]) == (500, 500), "999 is no status"


async def test_what_restate_refuses_is_a_problem_of_the_gateway(
    shop: tuple[Shop, httpx.AsyncClient],
) -> None:
    _, client = shop
    answer = await client.post("/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")


async def test_keyed_clients_are_made_of_their_key(shop: tuple[Shop, httpx.AsyncClient]) -> None:
    _, client = shop
    answer = await client.post("/approvals/order-7", json={"product": "tea"})
    assert answer.json() == "order-7: tea"
    assert (await client.post("/wallets/anna?amount=3")).json() == [3, 3]
    assert (await client.post("/wallets/anna?amount=4")).json() == [7, 7]
    assert (await client.post("/wallets/b%20b?amount=5")).json() == [5, 5]


async def test_a_long_saga_is_accepted_and_its_status_told(
    shop: tuple[Shop, httpx.AsyncClient],
) -> None:
    here, client = shop
    answer = await client.post(
        "/orders/later", json={"product": "slow"}, headers={"x-tenant": "acme"}
    )
    assert answer.status_code == 202, answer.text
    status = answer.headers["location"]
    saga_id = answer.json()["id"]
    assert answer.json() == {"id": saga_id, "status": "running"}
    assert status == f"/sagas/{saga_id}"
    await here.gate.reached()
    running = await client.get(status)
    assert (running.status_code, running.json()) == (200, {"id": saga_id, "status": "running"})
    assert running.headers["retry-after"] == "1"
    here.gate.open()
    done = await _ended(client, status)
    assert done == {
        "id": saga_id,
        "status": "completed",
        "result": {"product": "slow", "tenant": "acme", "saga_id": saga_id},
    }


async def test_a_status_tells_how_it_failed(shop: tuple[Shop, httpx.AsyncClient]) -> None:
    _, client = shop
    answer = await client.post("/orders/later", json={"product": "tea", "amount": 101})
    failed = await _ended(client, answer.headers["location"])
    assert failed["status"] == "failed"
    assert (failed["error"]["status"], failed["error"]["resaga.rollback"]) == (409, "incomplete")
    answer = await client.post("/idle")
    done = await _ended(client, answer.headers["location"])
    assert (done["status"], done["result"]) == ("completed", None)


async def _ended(client: httpx.AsyncClient, status: str) -> dict[str, Any]:
    last: dict[str, Any] = {}

    async def ended() -> bool:
        answer = await client.get(status)
        assert answer.status_code == 200, answer.text
        last.update(answer.json())
        return bool(last["status"] != "running")

    await until(ended, "the saga has ended")
    return last


async def test_nobody_knows_an_unknown_saga(shop: tuple[Shop, httpx.AsyncClient]) -> None:
    _, client = shop
    for saga_id in ("nonsense", "inv_1djzUwfjq9S81HDJJYkcSpJ9ubR8cmoZ4o", "a%2Fb", "..%2Fhealth"):
        answer = await client.get(f"/sagas/{saga_id}")
        assert answer.status_code == 404, (saga_id, answer.text)


async def test_the_status_is_guarded(rig: Rig) -> None:
    def guard(request: Request) -> None:
        if "x-user" not in request.headers:
            raise HTTPException(401)

    here = Shop(rig, status_path="/jobs/{saga_id}", status_dependencies=[Depends(guard)])
    async with here.open() as client:
        answer = await client.post("/orders/later", json={"product": "tea"})
        status = answer.headers["location"]
        assert status.startswith("/jobs/inv_")
        assert (await client.get(status)).status_code == 401
        assert (await client.get(status, headers={"x-user": "anna"})).status_code == 200


async def test_a_header_that_http_cannot_carry_is_refused(
    shop: tuple[Shop, httpx.AsyncClient],
) -> None:
    _, client = shop
    answer = await client.post(
        "/orders", json={"product": "tea"}, headers=[(b"x-tenant", b"caf\xe9")]
    )
    assert answer.status_code == 400
    assert "x-tenant" in answer.json()["detail"].lower()
    assert "caf" not in answer.text, "R24: no value"


async def test_the_api_is_described(shop: tuple[Shop, httpx.AsyncClient]) -> None:
    _, client = shop
    described = (await client.get("/openapi.json")).json()
    assert "/sagas/{saga_id}" in described["paths"]
    assert "SagaStatus" in described["components"]["schemas"]


async def test_connections_are_open_while_the_application_runs(rig: Rig) -> None:
    here = Shop(rig)
    transport = httpx.ASGITransport(app=here.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        with pytest.raises(MisuseError, match=r"clients\.install\(app\).*clients\.open\(\)"):
            await client.post("/orders", json={"product": "tea"})
        async with here.clients.open():
            with pytest.raises(MisuseError, match="open already"):
                async with here.clients.open():
                    pass
            assert (await client.get("/sagas/nonsense")).status_code == 404
    await asyncio.sleep(0)


@pytest.mark.parametrize("name", ["Authorization", "content-length", "X-Restate-Id"])
async def test_what_must_not_be_forwarded_is_refused(name: str) -> None:
    with pytest.raises(MisuseError, match=name):
        SagaClients("http://127.0.0.1:1", forward_headers=["x-tenant", name])
    with pytest.raises(MisuseError, match="saga_id"):
        SagaClients("http://127.0.0.1:1", status_path="/jobs")
