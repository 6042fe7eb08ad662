"""Requests to the application: sold, repeated, declined, nobody's, and one that does not wait."""

from __future__ import annotations

import asyncio

import httpx

from examples._run import running
from examples.web.api import create_api
from examples.web.tables import Base

ANNA = {"x-tenant": "north", "x-user": "anna"}
TEAPOT = {"product": "teapot", "amount": 50}
PIANO = {"product": "piano", "amount": 5000}


async def requests(ingress: str) -> None:
    api = create_api(ingress)
    # In production an ASGI server runs it; here, a client that calls it in this process.
    transport = httpx.ASGITransport(api)
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        once = {**ANNA, "idempotency-key": "order-1"}
        for order, headers in [(TEAPOT, once), (TEAPOT, once), (PIANO, ANNA), (TEAPOT, {})]:
            answer = await client.post("/orders", json=order, headers=headers)
            print(answer.status_code, answer.headers["content-type"], answer.text)

        later = {**ANNA, "idempotency-key": "order-2"}
        accepted = await client.post("/orders/later", json=PIANO, headers=later)
        print(accepted.status_code, accepted.json()["status"])
        while True:
            status = (await client.get(accepted.headers["location"])).json()
            if status["status"] != "running":
                break
            await asyncio.sleep(0.1)
        print(status["status"], status["error"])


def main() -> None:
    with running("examples.web.app:app", Base.metadata) as here:
        asyncio.run(requests(here.ingress))
        print("sales:")
        here.show("SELECT id, tenant, user, product FROM sales")


if __name__ == "__main__":
    main()
