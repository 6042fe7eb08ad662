"""One saga's caller: sends it, cancels it if its plan says so, and notes what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import msgspec

from chaos.backend import Backend
from chaos.plan import Plan
from chaos.records import Ledger, Outcome
from chaos.sagas import IN_TIME, TRANSFER

__all__ = ["Customer", "open_customer"]

AGAIN = 0.2
"""Seconds until something that got no answer is tried again."""

REQUEST = httpx.Timeout(10)
ANSWER = httpx.Timeout(30)
"""How long one attach may take; one that takes longer is sent again, maybe to another node."""

TOO_LATE = 409
"""What the admin API says to a cancel of a saga that has ended."""

OF_THE_SAGA = "x-restate-error-source"


class Refusal(msgspec.Struct):
    """A terminal error, as Restate's ingress gives it."""

    code: int
    message: str
    metadata: dict[str, str] = {}


class Sent(msgspec.Struct, rename="camel"):
    """What the ingress answers to a send."""

    invocation_id: str


class Customer:
    """Whoever calls sagas; it does not give up while anything may be down."""

    def __init__(
        self, http: httpx.AsyncClient, backend: Backend, ledger: Ledger, patience: timedelta
    ) -> None:
        self._http = http
        self._backend = backend
        self._ledger = ledger
        self._patience = patience

    async def serve(self, plan: Plan) -> Outcome | None:
        """Run one saga to its end; None if there was no answer: it is lost, or it hangs."""
        await self._ledger.open(plan)
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                return await self._serve(plan)
        except TimeoutError:
            return None

    async def _serve(self, plan: Plan) -> Outcome:
        invocation = await self._send(plan)
        cancelling = asyncio.ensure_future(self._cancel(invocation, plan))
        try:
            answer = await self._attach(invocation)
        finally:
            cancelling.cancel()
            await asyncio.wait({cancelling})
        if answer.is_success:
            outcome: Outcome = "completed"
            refusal = Refusal(code=answer.status_code, message="")
        else:
            refusal = msgspec.json.decode(answer.content, type=Refusal)
            left = refusal.metadata.get("resaga.rollback") == "incomplete"
            outcome = "incomplete" if left else "rolled back"
        await self._ledger.close(plan.saga, outcome, code=refusal.code, message=refusal.message)
        return outcome

    async def _send(self, plan: Plan) -> str:
        target = IN_TIME if plan.in_time else TRANSFER
        # With a key, so that it is one saga however often it has to be sent.
        headers = {"content-type": "application/json", "idempotency-key": plan.saga}
        body = msgspec.json.encode(plan)
        while True:
            try:
                answer = await self._http.post(
                    f"{self._backend.ingress()}/{target}/run/send",
                    content=body,
                    headers=headers,
                    timeout=REQUEST,
                )
            except httpx.HTTPError:
                await asyncio.sleep(AGAIN)
                continue
            if answer.is_success:
                return msgspec.json.decode(answer.content, type=Sent).invocation_id
            await asyncio.sleep(AGAIN)

    async def _attach(self, invocation: str) -> httpx.Response:
        """The answer of the saga itself, success or not."""
        while True:
            try:
                url = f"{self._backend.ingress()}/restate/invocation/{invocation}/attach"
                answer = await self._http.get(url, timeout=ANSWER)
            except httpx.HTTPError:
                await asyncio.sleep(AGAIN)
                continue
            if answer.is_success or answer.headers.get(OF_THE_SAGA) == "invocation":
                return answer
            await asyncio.sleep(AGAIN)

    async def _cancel(self, invocation: str, plan: Plan) -> None:
        passed = 0
        for moment in plan.cancels:
            await asyncio.sleep((moment - passed) / 1000)
            passed = moment
            await self._cancel_once(invocation)

    async def _cancel_once(self, invocation: str) -> None:
        while True:
            try:
                url = f"{self._backend.admin()}/invocations/{invocation}/cancel"
                answer = await self._http.patch(url, timeout=REQUEST)
            except httpx.HTTPError:
                await asyncio.sleep(AGAIN)
                continue
            if answer.is_success or answer.status_code == TOO_LATE:
                return
            await asyncio.sleep(AGAIN)


@asynccontextmanager
async def open_customer(
    backend: Backend, ledger: Ledger, *, patience: timedelta
) -> AsyncGenerator[Customer]:
    """A customer with a client of its own.

    Args:
        backend: Restate.
        ledger: Where it notes what it wanted and what it was told.
        patience: How long it waits for one saga's end.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as http:
        yield Customer(http, backend, ledger, patience)
