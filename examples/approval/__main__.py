"""Three expenses: one is approved, one rejected, and one forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import restate
from restate import TerminalError
from sqlalchemy.orm import Session

from examples._run import running
from examples.approval.contract import Approval, Expense
from examples.approval.tables import Base, Budget
from resaga import workflow_client, workflow_send_client


async def expense(ingress: str, number: str, *, patience: timedelta, decision: bool | None) -> None:
    async with restate.create_client(ingress) as client:  # pyright: ignore[reportUnknownMemberType]
        asked = Expense(team="research", amount=300, patience=patience)
        # Sent, not called: whoever asks does not wait on the line, and can attach any time.
        sent = await workflow_send_client(client, Approval, number).run(asked)
        one = workflow_client(client, Approval, number)
        if decision is not None:
            print(f"{number}: open: {await one.is_open()}")
            await one.decide(decision)
            print(f"{number}: open: {await one.is_open()}")
        try:
            print(f"{number}: {await sent.attach()}")
        except TerminalError as error:
            print(f"{number}: {error.status_code} {error.message}")


def main() -> None:
    with running("examples.approval.app:app", Base.metadata) as here:
        with Session(here.engine) as session, session.begin():
            session.add(Budget(team="research", left=1000))
        week, moment = timedelta(days=7), timedelta(seconds=1)
        asyncio.run(expense(here.ingress, "E-1", patience=week, decision=True))
        asyncio.run(expense(here.ingress, "E-2", patience=week, decision=False))
        asyncio.run(expense(here.ingress, "E-3", patience=moment, decision=None))
        print("budgets:")
        here.show('SELECT team, "left" FROM budgets')


if __name__ == "__main__":
    main()
