"""The database of the shop."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Sale"]


class Base(DeclarativeBase):
    """The tables of the shop."""


class Sale(Base):
    """What was sold, by which tenant, to whom."""

    __tablename__ = "sales"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    user: Mapped[str]
    product: Mapped[str]
