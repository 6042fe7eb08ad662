"""The four acts: what is ordered, what goes wrong, and what must be true afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resaga.cli.demo.app import Order
from resaga.cli.demo.shop import Snapshot
from resaga.cli.demo.trap import TrapPoint

__all__ = ["ACTS", "Act", "Check", "Result"]

PRICE = 2450


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of an act.

    Attributes:
        status: The HTTP status that the customer got.
        before: The database before the order.
        after: The database after the answer.
        starts: How often each step, and each compensation (``undo`` and the step), was started.
        kills: How many workers were killed.
    """

    status: int
    before: Snapshot
    after: Snapshot
    starts: Counter[str]
    kills: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """Something that had to hold, and whether it did."""

    text: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One order, and what is to be seen in it.

    Attributes:
        title: What happens, in a few words.
        story: What happens, in a few sentences.
        order: What is ordered.
        checks: What must be true afterwards.
        trap: What a worker is killed after, between the commit and its journaling.
    """

    title: str
    story: str
    order: Order
    checks: Callable[[Order, Result], Sequence[Check]]
    trap: TrapPoint | None = None


def _sold(order: Order, result: Result) -> list[Check]:
    before, after = result.before, result.after
    return [
        Check("The customer got a receipt", result.status == 200),
        Check(
            f"Stock: {order.quantity} {order.product}s fewer are free",
            after.free == before.free - order.quantity,
        ),
        Check(
            "Payments: the order is paid, once",
            after.payments == (order.amount,) and after.taken == before.taken + order.amount,
        ),
        Check(
            f"Shipments: one parcel to {order.city}",
            after.shipments == (order.city,) and after.parcels == before.parcels + 1,
        ),
    ]


def _undone(order: Order, result: Result) -> list[Check]:
    before, after = result.before, result.after
    return [
        Check("The customer was told why (409)", result.status == 409),
        Check("Stock: as before", after.free == before.free),
        Check(
            "Payments: the balance is as before: one charge, one refund",
            after.taken == before.taken and after.payments == (order.amount, -order.amount),
        ),
        Check("Shipments: as before", after.parcels == before.parcels and not after.shipments),
    ]


def _sold_in_spite_of_crash(order: Order, result: Result) -> list[Check]:
    return [
        Check(
            "ChargePayment ran twice, its second time in a new worker",
            result.kills == 1 and result.starts["ChargePayment"] == 2,
        ),
        *_sold(order, result),
    ]


def _undone_in_spite_of_crash(order: Order, result: Result) -> list[Check]:
    return [
        Check(
            "The undo of ChargePayment ran twice, its second time in a new worker",
            result.kills == 1 and result.starts["undo ChargePayment"] == 2,
        ),
        *_undone(order, result),
    ]


def _order(number: int, *, quantity: int, city: str) -> Order:
    return Order(
        id=f"order-{number}",
        product="teapot",
        quantity=quantity,
        amount=quantity * PRICE,
        city=city,
    )


ACTS: tuple[Act, ...] = (
    Act(
        title="All is well",
        story="Two teapots to Lisbon. Three steps, and each has its effect.",
        order=_order(1, quantity=2, city="Lisbon"),
        checks=_sold,
    ),
    Act(
        title="The last step declines",
        story=(
            "One teapot to Atlantis. No carrier goes there, which shows when the stock is held "
            "and the money taken. What was done is undone, the newest first."
        ),
        order=_order(2, quantity=1, city="Atlantis"),
        checks=_undone,
    ),
    Act(
        title="The worker is killed in a step",
        story=(
            "Three teapots to Quito. The worker is killed when the charge is committed to the "
            "database and Restate has not heard of it yet. A new worker has to run the step "
            "again, and the step's idempotency key keeps the customer from paying twice."
        ),
        order=_order(3, quantity=3, city="Quito"),
        checks=_sold_in_spite_of_crash,
        trap="charge",
    ),
    Act(
        title="The worker is killed in a rollback",
        story=(
            "One teapot to Atlantis again, and this time the worker is killed in the rollback, "
            "when the refund is committed and Restate has not heard of it yet. A new worker "
            "goes on with the rollback where it stood, and the customer is refunded once."
        ),
        order=_order(4, quantity=1, city="Atlantis"),
        checks=_undone_in_spite_of_crash,
        trap="refund",
    ),
)
