"""The shop's database."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Reservation"]


class Base(DeclarativeBase):
    """The tables of the shop."""


class Reservation(Base):
    """Goods that somebody gets."""

    __tablename__ = "reservations"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[str]
    quantity: Mapped[int]
