"""Every example, broken at every point in every way, on a real server: what it promises is so.

Each saga runs on the example's own code and database, which is put in order before each case.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import restate
from sqlalchemy import MetaData

from resaga import object_client, workflow_client
from resaga.server import RestateServer
from resaga.testing import Report, RunningSaga, explore
from tests.examples.exploring import Example

Open = Callable[..., Example]

FEW = ["fails", "error once", "cancel during", "lost after", "replayed", "undo error"]
"""The columns for sagas that are made like another one that is explored in full."""


@pytest.fixture
async def open_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Gives an example; its connections are closed at the end."""
    opened: list[Example] = []

    def open_it(name: str, tables: MetaData, **rows: Any) -> Example:
        example = Example(name, tables, tmp_path, monkeypatch, rows)
        opened.append(example)
        return example

    yield open_it
    for example in opened:
        if (sessions := getattr(example.app, "sessions", None)) is not None:
            await sessions.kw["bind"].dispose()


async def explored(example: Example, workflow: Any, input: object, **how: Any) -> Report:
    how = {"snapshot": example.everything, **how}
    return await explore(workflow, input, prepare=example.as_it_was, **how)


async def test_a_trip_leaves_nothing_booked_that_it_does_not_keep(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.composed.tables import Base

    example = open_example("composed", Base.metadata)
    app = example.app
    trip = app.Trip(
        flight=app.Flight(number="RS 1", traveller="Anna"),
        stay=app.Stay(hotel="Sea", traveller="Anna"),
        amount=300,
    )

    # Which of two bookings side by side is the first, nobody knows.
    async def what_is_booked() -> object:
        booked = example.ask("SELECT what, traveller FROM bookings ORDER BY 1")
        return booked, example.ask("SELECT amount, taken FROM holds")

    report = await explored(
        example,
        app.book_trip,
        trip,
        server=restate_server,
        snapshot=what_is_booked,
        # What meets branches and nested sagas in a way of its own; five steps take their time.
        columns=[*FEW, "cancel twice", "cancel after", "lost, cancel", "undo lost"],
    )
    report.raise_for_violations()


async def test_a_checkout_takes_no_stock_without_money(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.checkout.contract import Order
    from examples.checkout.tables import Base

    example = open_example("checkout", Base.metadata, stock=[{"product": "teapot", "units": 10}])
    order = Order(product="teapot", quantity=1, amount=50_00)
    report = await explored(example, example.app.checkout, order, server=restate_server)
    report.raise_for_violations()


async def test_a_registration_leaves_an_account_and_its_mail_or_nothing(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.registration.tables import Base

    example = open_example("registration", Base.metadata)

    async def who_has_a_mail_has_an_account() -> None:
        users = example.ask("SELECT email FROM users")
        mails = example.ask("SELECT recipient FROM mails")
        assert mails in ([], users)

    report = await explored(
        example,
        example.app.register,
        example.app.Registration(email="anna@example.org", age=30),
        server=restate_server,
        invariant=who_has_a_mail_has_an_account,
    )
    report.raise_for_violations()


async def test_a_transfer_moves_money_or_none(
    restate_server: RestateServer, open_example: Open
) -> None:
    """The wallets keep their money in Restate, so they are what tells of it, too."""
    from examples.wallet.contract import Deposit, Transfer, Wallet

    example = open_example("wallet", MetaData())

    async with restate.create_client(restate_server.ingress_url) as client:  # pyright: ignore[reportUnknownMemberType]
        anna, bob = (object_client(client, Wallet, owner) for owner in ("anna", "bob"))

        async def balances() -> tuple[int, int]:
            return (await anna.statement()).balance, (await bob.statement()).balance

        async def a_hundred_each() -> None:
            for wallet, balance in zip((anna, bob), await balances(), strict=True):
                if balance != 100:
                    await wallet.deposit(Deposit(id="", amount=100 - balance))

        report = await explore(
            example.app.wallet,
            Transfer(to="bob", amount=30),
            handler="transfer",
            key="anna",
            server=restate_server,
            prepare=a_hundred_each,
            snapshot=balances,
        )
    report.raise_for_violations()
    assert report["every step/replayed"].verdict == "right"


async def test_a_hybrid_charge_is_always_given_back_and_a_strict_one_is_not(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.hybrid_strict.tables import Base

    example = open_example("hybrid_strict", Base.metadata)

    async def charges() -> object:
        return example.ask('SELECT "order", amount FROM charges')

    async def explored_as(kind: str) -> Report:
        app = example.app
        payment = app.Payment(order="1", amount=50, kind=kind, trouble="none")
        return await explored(example, app.pay, payment, server=restate_server, snapshot=charges)

    (await explored_as("hybrid")).raise_for_violations()
    # It says so itself: where nobody answers, the customer has paid for nothing.
    strict = await explored_as("strict")
    assert {result.case.name for result in strict.wrong} == {
        "ChargeCard/error once",
        "ChargeCard/gives up",
        "ChargeCard/lost, cancel",
    }


async def test_an_order_that_is_not_shipped_holds_no_goods(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.errors.tables import Base

    example = open_example("errors", Base.metadata)

    # Tries to ship are counted on purpose.
    async def held() -> object:
        return example.ask('SELECT "order" FROM holds')

    report = await explored(
        example, example.app.place, "teapot", server=restate_server, snapshot=held
    )
    report.raise_for_violations()


async def test_an_expense_that_is_not_approved_costs_no_budget(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.approval.contract import Approval, Expense
    from examples.approval.tables import Base

    example = open_example("approval", Base.metadata, budgets=[{"team": "research", "left": 1000}])

    async with restate.create_client(restate_server.ingress_url) as client:  # pyright: ignore[reportUnknownMemberType]

        async def approve(running: RunningSaga[object]) -> None:
            assert running.key is not None
            await workflow_client(client, Approval, running.key).decide(True)

        report = await explored(
            example,
            example.app.approval,
            Expense(team="research", amount=300, patience=timedelta(days=7)),
            server=restate_server,
            meanwhile=approve,
        )
    report.raise_for_violations()


async def test_a_basket_of_one_tenant_is_reserved_as_a_whole(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.services.tables import Base

    shelf = [
        {"tenant": tenant, "product": product, "units": 10}
        for tenant in ("north", "south")
        for product in ("cup", "teapot")
    ]
    example = open_example("services", Base.metadata, items=shelf)
    app = example.app
    basket = app.Basket(
        lines=[app.Line(product="cup", units=2), app.Line(product="teapot", units=1)], card="good"
    )
    try:
        report = await explored(
            example,
            app.buy,
            basket,
            server=restate_server,
            headers={"x-tenant": "north"},
            columns=[*FEW, "cancel twice", "lost, cancel", "undo lost"],
        )
    finally:
        await app.container.close()
    report.raise_for_violations()


async def test_what_typescript_calls_reserves_nothing_without_payment(
    restate_server: RestateServer, open_example: Open
) -> None:
    """Its wallet has no steps: what `saga.state` undoes there is explored with the other wallet."""
    from examples.typescript.tables import Base

    example = open_example("typescript", Base.metadata)
    order = example.app.Order(product_id="teapot", quantity=1, amount_in_cents=50_00)
    report = await explored(
        example, example.app.checkout, order, server=restate_server, columns=FEW
    )
    report.raise_for_violations()


async def test_what_the_web_sells_is_paid(
    restate_server: RestateServer, open_example: Open
) -> None:
    from examples.web.contract import Order
    from examples.web.tables import Base

    example = open_example("web", Base.metadata)
    report = await explored(
        example,
        example.app.checkout,
        Order(product="teapot", amount=50),
        server=restate_server,
        headers={"x-tenant": "north", "x-user": "anna"},
        columns=FEW,
    )
    report.raise_for_violations()


def test_no_example_is_left_out() -> None:
    folder = Path(__file__).parents[2] / "examples"
    there = {path.parent.name for path in folder.glob("*/app.py")}
    opened = re.findall(r'open_example\(\s*"(\w+)"', Path(__file__).read_text("utf-8"))
    assert set(opened) == there
