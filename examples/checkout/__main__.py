"""Three customers: one buys, one has no money, one finds what the second could not pay."""

from __future__ import annotations

import asyncio

from sqlalchemy.orm import Session

from examples._run import running
from examples.checkout.client import buy
from examples.checkout.contract import Order
from examples.checkout.tables import Base, Stock


async def customers(ingress: str) -> None:
    two_teapots = Order(product="teapot", quantity=2, amount=50_00)
    too_dear = Order(product="teapot", quantity=2, amount=500_00)
    print(await buy(ingress, two_teapots, order_id="order-1"))
    print(await buy(ingress, too_dear, order_id="order-2"))
    print(await buy(ingress, two_teapots, order_id="order-3"))
    print("asked again:", await buy(ingress, two_teapots, order_id="order-1"))


def main() -> None:
    with running("examples.checkout.app:app", Base.metadata) as shop:
        with Session(shop.engine) as session, session.begin():
            session.add(Stock(product="teapot", units=10))
        asyncio.run(customers(shop.ingress))
        print("on the shelf and paid:")
        shop.show("SELECT product, units FROM stock")
        shop.show("SELECT id, amount FROM payments")


if __name__ == "__main__":
    main()
