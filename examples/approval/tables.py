"""The database of the accountants."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Budget"]


class Base(DeclarativeBase):
    """The tables."""


class Budget(Base):
    """What a team may still spend."""

    __tablename__ = "budgets"

    team: Mapped[str] = mapped_column(primary_key=True)
    left: Mapped[int]
