"""Two workers with the same key at the same moment, at every isolation level of every database.

Each of them goes on as Restate does: what ends in an error of the database is tried again.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from resaga.ext.sql import StepAbandoned, barrier, barrier_sync
from tests.ext.sql.effects import (
    EFFECTS,
    PAID,
    PRICES,
    Paid,
    backward,
    effects,
    emptied,
    forward,
    pay,
)
from tests.support.databases.given import LEVELS, Databases, Given, Kind

HANG = 60
"""Seconds after which a thread counts as hung. No test asserts on any other time."""

ROUNDS = 4

EACH_LEVEL = [(kind, level) for kind, levels in LEVELS.items() for level in levels]


@pytest.fixture(params=EACH_LEVEL, ids=" ".join)
def engine(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: Path
) -> Iterator[Engine]:
    kind: Kind
    kind, level = request.param
    given: Given = emptied(databases.get(kind, tmp_path))
    engine = given.engine(isolation_level=level, poolclass=None)
    yield engine
    engine.dispose()


def retried(work: Callable[[], object]) -> tuple[object, int]:
    """What comes of it in the end, and how many attempts failed before."""
    for attempt in range(200):
        try:
            return work(), attempt
        except StepAbandoned as abandoned:
            return abandoned, attempt
        except DBAPIError:
            continue
    raise AssertionError("it failed 200 times")


def at_once(*works: Callable[[], object]) -> list[tuple[object, int]]:
    """Run them in threads that begin at the same moment."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> tuple[object, int]:
        start.wait(HANG)
        return retried(work)

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(run, work) for work in works]
        return [future.result(HANG) for future in futures]


def doing(engine: Engine, key: str, *, reads_first: bool = False) -> Callable[[], Paid]:
    def act(session: Session) -> Paid:
        session.execute(insert(EFFECTS).values(name=f"pay {key}"))
        return PAID

    def work() -> Paid:
        with Session(engine) as session, session.begin():
            if reads_first:  # From here on, some levels show what is there now, and no more.
                session.scalars(select(PRICES.c.id)).all()
            return barrier_sync(session, forward(key), act)

    return work


def undoing(engine: Engine, key: str, *, reads_first: bool = False) -> Callable[[], str | None]:
    def act(session: Session, paid: Paid) -> str:
        assert paid == PAID
        session.execute(insert(EFFECTS).values(name=f"refund {key}"))
        return "refunded"

    def work() -> str | None:
        with Session(engine) as session, session.begin():
            if reads_first:
                session.scalars(select(PRICES.c.id)).all()
            return barrier_sync(session, backward(key), act)

    return work


def test_an_action_several_times_at_once(engine: Engine) -> None:
    for number in range(ROUNDS):
        key = f"inv_{number}"
        results = at_once(*[doing(engine, key, reads_first=number == 1)] * 4)
        assert [result for result, _ in results] == [PAID] * 4
    assert Counter(effects(engine)) == {f"pay inv_{number}": 1 for number in range(ROUNDS)}


def test_an_action_and_its_compensation_at_once(engine: Engine) -> None:
    for number in range(ROUNDS):
        key = f"inv_{number}"
        do = doing(engine, key, reads_first=number > 1)
        undo = undoing(engine, key, reads_first=number > 1)
        order = [do, undo, do, undo] if number % 2 else [undo, do, undo, do]
        results = [result for result, _ in at_once(*order)]
        done = [name for name in effects(engine) if name.endswith(key)]
        if done:
            assert done == [f"pay {key}", f"refund {key}"]
            assert results.count(PAID) == 2
            assert results.count("refunded") == 2
        else:
            assert sum(isinstance(result, StepAbandoned) for result in results) == 2
            assert results.count(None) == 2


def test_a_compensation_several_times_at_once(engine: Engine) -> None:
    for number in range(ROUNDS):
        key = f"inv_{number}"
        doing(engine, key)()
        results = at_once(*[undoing(engine, key, reads_first=number == 1)] * 4)
        assert [result for result, _ in results] == ["refunded"] * 4
    assert Counter(effects(engine)) == {
        f"{what} inv_{number}": 1 for what in ("pay", "refund") for number in range(ROUNDS)
    }


@contextmanager
def sent(engine: Engine, count: int) -> Generator[threading.Event]:
    """An event that is set when so many statements on the barrier's table were begun."""
    told = threading.Event()
    seen: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "resaga_barrier" in statement:
            seen.append(statement)
            if len(seen) >= count:
                told.set()

    event.listen(engine, "before_cursor_execute", hear)
    yield told
    event.remove(engine, "before_cursor_execute", hear)


@pytest.mark.parametrize("reads_first", [False, True])
@pytest.mark.parametrize("second", [doing, undoing])
def test_the_second_waits_for_the_first_or_is_tried_again(
    engine: Engine, second: Callable[..., Callable[[], object]], reads_first: bool
) -> None:
    """The first is held inside its action until the second has been sent to the database."""
    inside = threading.Event()

    def act(session: Session) -> Paid:
        session.execute(insert(EFFECTS).values(name="pay inv_1"))
        inside.set()
        assert told.wait(HANG)
        return PAID

    def first() -> Paid:
        with Session(engine) as session, session.begin():
            return barrier_sync(session, forward("inv_1"), act)

    with sent(engine, 2) as told, ThreadPoolExecutor(2) as pool:
        one = pool.submit(retried, first)
        assert inside.wait(HANG)
        two = pool.submit(retried, second(engine, "inv_1", reads_first=reads_first))
        assert one.result(HANG) == (PAID, 0)
        result, _ = two.result(HANG)
    assert result == (PAID if second is doing else "refunded")
    assert effects(engine) == ["pay inv_1", "refund inv_1"][: 1 if second is doing else 2]


def test_the_second_acts_where_the_first_is_rolled_back(engine: Engine) -> None:
    inside = threading.Event()

    def act(session: Session) -> Paid:
        session.execute(insert(EFFECTS).values(name="of the first"))
        inside.set()
        assert told.wait(HANG)
        raise ValueError("no")

    def first() -> str:
        with pytest.raises(ValueError, match="no"), Session(engine) as session, session.begin():
            barrier_sync(session, forward("inv_1"), act)
        return "rolled back"

    with sent(engine, 2) as told, ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert inside.wait(HANG)
        two = pool.submit(retried, doing(engine, "inv_1"))
        assert one.result(HANG) == "rolled back"
        assert two.result(HANG)[0] == PAID
    assert effects(engine) == ["pay inv_1"]


async def test_async_sessions_at_once(given: Given, async_engine: AsyncEngine) -> None:
    """By the async drivers, in one event loop."""

    async def once(key: str) -> Paid:
        for _ in range(200):
            try:
                async with AsyncSession(async_engine) as session, session.begin():
                    return await barrier(session, forward(key), pay, f"pay {key}")
            except DBAPIError:
                continue
        raise AssertionError("it failed 200 times")

    for number in range(3):
        results = await asyncio.gather(*[once(f"inv_{number}") for _ in range(4)])
        assert results == [PAID] * 4
    assert effects(given.engine()) == [f"pay inv_{number}" for number in range(3)]
