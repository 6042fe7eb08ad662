"""Customers of two tenants, who have a shelf each."""

from __future__ import annotations

from sqlalchemy.orm import Session

from examples._run import running
from examples.services.tables import Base, Item

LINES = [{"product": "cup", "units": 2}, {"product": "teapot", "units": 1}]


def main() -> None:
    with running("examples.services.app:app", Base.metadata) as here:
        with Session(here.engine) as session, session.begin():
            for tenant, teapots in (("north", 10), ("south", 0)):
                session.add(Item(tenant=tenant, product="cup", units=10))
                session.add(Item(tenant=tenant, product="teapot", units=teapots))
        for tenant, card in (("north", "good"), ("north", "expired"), ("south", "good")):
            basket = {"lines": LINES, "card": card}
            print(here.post("BasketWorkflow/run", basket, headers={"x-tenant": tenant}))
        here.show("SELECT tenant, product, units FROM items ORDER BY 1, 2")


if __name__ == "__main__":
    main()
