"""Six orders, and what their callers get to know."""

from __future__ import annotations

import asyncio

import restate
from restate import TerminalError

from examples._run import running
from examples.errors.tables import Base
from resaga import Contract, RollbackIncomplete, workflow_client

Place = Contract("OrderWorkflow", str, int)

ORDERS = ["teapot", "bad weather", "last teapot", "to Atlantis", "heavy", "jammed door"]


async def place(ingress: str, order: str) -> str:
    async with restate.create_client(ingress) as client:  # pyright: ignore[reportUnknownMemberType]
        try:
            tries = await workflow_client(client, Place).run(order)
        except RollbackIncomplete as stuck:
            steps = ", ".join(failure.name for failure in stuck.failures)
            return (
                f"{stuck.status_code} NOT UNDONE: {steps}; it began with: {stuck.original.message}"
            )
        except TerminalError as error:
            return f"{error.status_code} {error.message} {error.metadata or ''}".rstrip()
    return f"shipped at try {tries}"


def main() -> None:
    with running("examples.errors.app:app", Base.metadata) as shop:
        for order in ORDERS:
            print(f"{order}: {asyncio.run(place(shop.ingress, order))}")
        print("held:")
        shop.show('SELECT "order" FROM holds ORDER BY 1')


if __name__ == "__main__":
    main()
