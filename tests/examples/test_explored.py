"""Two examples, broken at every point in every way: what they promise is so."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.pool import NullPool

from resaga.ext.sql import create_barrier_table
from resaga.server import RestateServer
from resaga.testing import explore

Prepared = tuple[Any, Callable[[], Awaitable[object]]]


def prepared(
    example: str, tables: MetaData, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Prepared:
    """The example's module on a database of its own, and what is in that database."""
    file = folder / f"{example}.sqlite"
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    create_barrier_table(engine)
    tables.create_all(engine)
    # As the worker's environment has it; the module reads it when it is imported.
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{file}")

    async def rows() -> object:
        with engine.connect() as connection:
            return {
                name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))]
                for name in sorted(tables.tables)
            }

    return importlib.import_module(f"examples.{example}.app"), rows


async def test_a_trip_leaves_nothing_booked_that_it_does_not_keep(
    restate_server: RestateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from examples.composed.tables import Base

    app, rows = prepared("composed", Base.metadata, tmp_path, monkeypatch)
    trip = app.Trip(
        flight=app.Flight(number="RS 1", traveller="Anna"),
        stay=app.Stay(hotel="Sea", traveller="Anna"),
        amount=300,
    )
    report = await explore(app.book_trip, trip, server=restate_server, snapshot=rows)
    report.raise_for_violations()


async def test_a_checkout_takes_no_stock_without_money(
    restate_server: RestateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from examples.checkout.contract import Order
    from examples.checkout.tables import Base

    app, rows = prepared("checkout", Base.metadata, tmp_path, monkeypatch)
    engine = create_engine(f"sqlite:///{tmp_path / 'checkout.sqlite'}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO stock (product, units) VALUES ('teapot', 1000)"))

    order = Order(product="teapot", quantity=1, amount=50_00)
    report = await explore(app.checkout, order, server=restate_server, snapshot=rows)
    report.raise_for_violations()
