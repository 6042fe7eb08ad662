"""The shop of the demo: stock, payments and shipments in a SQLite database.

Every effect takes an idempotency key, stored in the same transaction as the effect. Asked again
with a key it knows, the shop changes nothing and gives the same answer as before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Refused", "Shop", "Snapshot", "count", "money"]

logger: logging.Logger = logging.getLogger(__name__)


class Refused(Exception):
    """The shop will not do this, however often it is asked."""


class Base(DeclarativeBase):
    """The tables of the shop."""


class Unit(Base):
    """One thing on the shelf, and the key it is held by."""

    __tablename__ = "stock"

    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]
    held_by: Mapped[str | None]


class Payment(Base):
    """Money that came in, or, below zero, that went back; in cents."""

    __tablename__ = "payments"

    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    amount: Mapped[int]


class Shipment(Base):
    """A parcel handed to a carrier."""

    __tablename__ = "shipments"

    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    city: Mapped[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is in the database at one moment.

    Attributes:
        free: Things on the shelf that nobody holds.
        taken: Money that came in less what went back, in cents.
        parcels: Shipments in all.
        payments: What the payments table holds for one order, in cents.
        shipments: Where to the parcels of that order went.
    """

    free: int
    taken: int
    parcels: int
    payments: tuple[int, ...]
    shipments: tuple[str, ...]


class Shop:
    """The three tables, and what can be done with them.

    Args:
        engine: Where the tables are. `close` disposes of it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def open(self, product: str, units: int) -> None:
        """Create the tables, and put ``units`` of a product on the shelf."""
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with self._sessions.begin() as session:
            session.add_all(Unit(product=product) for _ in range(units))

    async def close(self) -> None:
        """Close the connections to the database."""
        await self._engine.dispose()

    async def reserve(self, product: str, quantity: int, *, key: str) -> list[int]:
        """Hold ``quantity`` units for a key, and give their numbers.

        Raises:
            Refused: There are not as many.
        """
        async with self._sessions.begin() as session:
            held = await _units(session, Unit.held_by == key)
            if not held:
                held = await _units(session, Unit.product == product, Unit.held_by.is_(None))
                if len(held) < quantity:
                    raise Refused(f"{len(held)} left of {product}, {quantity} wanted")
                held = held[:quantity]
                await session.execute(update(Unit).where(Unit.id.in_(held)).values(held_by=key))
        logger.info("stock: %s held for the order", count(quantity, product))
        return held

    async def release(self, *, held_by: str) -> None:
        """Put what is held by a key back on the shelf."""
        async with self._sessions.begin() as session:
            held = await _units(session, Unit.held_by == held_by)
            await session.execute(update(Unit).where(Unit.id.in_(held)).values(held_by=None))
        if held:
            logger.info("stock: %s back on the shelf", count(len(held), "unit"))
        else:
            logger.info("stock: nothing was held, nothing to put back")

    async def charge(self, order_id: str, amount: int, *, key: str) -> None:
        """Take ``amount`` cents for an order."""
        async with self._sessions.begin() as session:
            known = await session.get(Payment, key)
            if known is None:
                session.add(Payment(key=key, order_id=order_id, amount=amount))
        if known is None:
            logger.info("payments: %s charged", money(amount))
        else:
            logger.info("payments: this key has its charge, nothing written")

    async def refund(self, *, charged_by: str, key: str) -> None:
        """Give back what was charged with the key ``charged_by``, if anything was."""
        async with self._sessions.begin() as session:
            charge = await session.get(Payment, charged_by)
            known = await session.get(Payment, key)
            if charge is not None and known is None:
                session.add(Payment(key=key, order_id=charge.order_id, amount=-charge.amount))
        if charge is None:
            logger.info("payments: nothing was charged, nothing to refund")
        elif known is None:
            logger.info("payments: %s refunded", money(charge.amount))
        else:
            logger.info("payments: this key has its refund, nothing written")

    async def ship(self, order_id: str, city: str, *, key: str) -> None:
        """Hand a parcel to the carrier.

        Raises:
            Refused: No carrier goes there.
        """
        if city == "Atlantis":
            raise Refused(f"no carrier delivers to {city}")
        async with self._sessions.begin() as session:
            if await session.get(Shipment, key) is None:
                session.add(Shipment(key=key, order_id=order_id, city=city))
        logger.info("shipments: a parcel to %s", city)

    async def snapshot(self, order_id: str) -> Snapshot:
        """What the database holds now, in all and for one order."""
        async with self._sessions.begin() as session:
            paid = select(Payment.amount).where(Payment.order_id == order_id)
            sent = select(Shipment.city).where(Shipment.order_id == order_id)
            return Snapshot(
                free=len(await _units(session, Unit.held_by.is_(None))),
                taken=await session.scalar(select(func.sum(Payment.amount))) or 0,
                parcels=await session.scalar(select(func.count()).select_from(Shipment)) or 0,
                payments=tuple(await session.scalars(paid.order_by(Payment.amount.desc()))),
                shipments=tuple(await session.scalars(sent)),
            )


async def _units(session: AsyncSession, *where: ColumnElement[bool]) -> list[int]:
    return list(await session.scalars(select(Unit.id).where(*where).order_by(Unit.id)))


def money(cents: int) -> str:
    """An amount as people write it."""
    return f"{cents / 100:.2f}"


def count(quantity: int, product: str) -> str:
    """How many of what, as people write it."""
    return f"{quantity} {product}{'' if quantity == 1 else 's'}"
