"""Anna pays Bob; the other three transfers fail, each at another place."""

from __future__ import annotations

import asyncio

import restate
from restate import TerminalError

from examples._run import running
from examples.wallet.contract import Deposit, Transfer, Wallet
from resaga import object_client


async def payments(ingress: str) -> None:
    async with restate.create_client(ingress) as client:  # pyright: ignore[reportUnknownMemberType]
        anna = object_client(client, Wallet, "anna")
        bob = object_client(client, Wallet, "bob")
        await object_client(client, Wallet, "carl").close()

        print("deposited:", await anna.deposit(Deposit(id="salary", amount=100)))
        for to, amount in [("bob", 30), ("carl", 30), ("bob", 60), ("bob", 3000)]:
            try:
                left = await anna.transfer(Transfer(to=to, amount=amount))
                print(f"{amount} to {to}: {left} left")
            except TerminalError as refused:
                print(f"{amount} to {to}: {refused.message}")
        print("anna:", await anna.statement())
        print("bob:", await bob.statement())


def main() -> None:
    with running("examples.wallet.app:app") as here:
        asyncio.run(payments(here.ingress))


if __name__ == "__main__":
    main()
