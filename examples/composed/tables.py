"""The database of the travel agency."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Booking", "Hold"]


class Base(DeclarativeBase):
    """The tables of the agency."""


class Booking(Base):
    """What is booked, for whom."""

    __tablename__ = "bookings"

    id: Mapped[int] = mapped_column(primary_key=True)
    what: Mapped[str]
    traveller: Mapped[str]


class Hold(Base):
    """Money held on a card, and then taken."""

    __tablename__ = "holds"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    taken: Mapped[bool]
