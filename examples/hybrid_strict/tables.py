"""The database of a payment provider, and a log of the compensations that were run."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Charge", "Undo"]


class Base(DeclarativeBase):
    """The tables."""


class Charge(Base):
    """Money taken; ``key`` is the idempotency key it came with."""

    __tablename__ = "charges"

    key: Mapped[str] = mapped_column(primary_key=True)
    order: Mapped[str]
    amount: Mapped[int]


class Undo(Base):
    """A compensation was run, with this outcome of its step in hand."""

    __tablename__ = "undos"

    key: Mapped[str] = mapped_column(primary_key=True)
    order: Mapped[str]
    outcome: Mapped[str]
    found: Mapped[str]
