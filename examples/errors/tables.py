"""The database of the shop."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Hold", "Try"]


class Base(DeclarativeBase):
    """The tables."""


class Hold(Base):
    """Goods held for an order."""

    __tablename__ = "holds"

    key: Mapped[str] = mapped_column(primary_key=True)
    order: Mapped[str]


class Try(Base):
    """An attempt to ship an order."""

    __tablename__ = "tries"

    id: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[str]
