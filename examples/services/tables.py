"""The database of a shop with many tenants."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "Item"]


class Base(DeclarativeBase):
    """The tables of the shop."""


class Item(Base):
    """How much of a product a tenant has."""

    __tablename__ = "items"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    product: Mapped[str] = mapped_column(primary_key=True)
    units: Mapped[int]
