"""The shop's database."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Payment", "Stock"]


class Base(DeclarativeBase):
    """The tables of the shop."""


class Stock(Base):
    """What is on the shelf."""

    __tablename__ = "stock"

    product: Mapped[str] = mapped_column(primary_key=True)
    units: Mapped[int]


class Payment(Base):
    """Money taken."""

    __tablename__ = "payments"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
