"""Rows that are not what this step has left there."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.orm import Session

from resaga import CodecError, MisuseError
from resaga.ext.sql import BARRIER_TABLE, StepAbandoned, barrier_sync
from tests.ext.sql.effects import (
    PAID,
    REFUND,
    Paid,
    backward,
    effects,
    forward,
    pay_sync,
    refund_sync,
    states,
)


def do(engine: Engine) -> Paid:
    with Session(engine) as session, session.begin():
        return barrier_sync(session, forward(), pay_sync)


def undo(engine: Engine) -> str | None:
    with Session(engine) as session, session.begin():
        return barrier_sync(session, backward(), refund_sync)


def test_a_key_of_another_step(engine: Engine) -> None:
    do(engine)
    match = r"'Ship'.*its key is already in .*'Pay'"
    with Session(engine) as session, session.begin() as transaction:
        with pytest.raises(MisuseError, match=match):
            barrier_sync(session, forward(name="Ship"), pay_sync)
        assert not transaction.is_active
    with Session(engine) as session, session.begin() as transaction:
        with pytest.raises(MisuseError, match=match):
            barrier_sync(session, backward(name="Ship"), refund_sync)
        assert not transaction.is_active
    assert effects(engine) == ["pay"]


def test_a_stored_result_of_another_type(engine: Engine) -> None:
    def other(session: Session) -> int:
        pay_sync(session)
        return 5

    def undo_other(session: Session, stored: int) -> None:
        pay_sync(session)

    do(engine)
    now = pytest.raises(CodecError, match=r"'Pay'.*does not fit the type declared now.*int")
    with now, Session(engine) as session, session.begin():
        barrier_sync(session, forward(), other)
    before = pytest.raises(CodecError, match=r"compensation of step 'Pay'.*result of the step")
    with before, Session(engine) as session, session.begin():
        barrier_sync(session, backward(), undo_other)
    assert effects(engine) == ["pay"]
    assert undo(engine) == "refunded"


def test_an_action_that_commits_by_itself(engine: Engine) -> None:
    """Told at once, and again by every repeat: how far it got is not known."""

    def act(session: Session) -> Paid:
        pay_sync(session)
        session.commit()
        return PAID

    with Session(engine) as session:
        session.begin()
        with pytest.raises(MisuseError, match="ended the transaction"):
            barrier_sync(session, forward(), act)
    assert states(engine) == {"inv_1.1": "started"}
    for attempt in (do, undo):
        with pytest.raises(MisuseError, match=r"has started and not that it ended.*set the row's"):
            attempt(engine)
    assert effects(engine) == ["pay"]
    # The mend that the message names.
    with engine.begin() as connection:
        connection.execute(
            update(BARRIER_TABLE).values(state="done", result='{"id":"p-1","amount":"12.50"}')
        )
    assert do(engine) == PAID
    assert undo(engine) == "refunded"
    assert effects(engine) == ["pay", REFUND]


def test_an_action_that_removes_its_row(engine: Engine) -> None:
    def act(session: Session) -> Paid:
        session.execute(delete(BARRIER_TABLE))
        return pay_sync(session)

    with Session(engine) as session, session.begin() as transaction:
        with pytest.raises(MisuseError, match="changed or removed by the action"):
            barrier_sync(session, forward(), act)
        assert not transaction.is_active
    assert effects(engine) == []


def test_without_returning_as_in_mysql(engine: Engine) -> None:
    """MySQL's INSERT gives no rows; MariaDB's can be used like it."""
    if engine.dialect.name not in ("mysql", "mariadb"):
        return
    with engine.connect():
        engine.dialect.insert_returning = False  # Else it is set by the first connection.
    assert do(engine) == PAID
    assert do(engine) == PAID
    assert undo(engine) == "refunded"
    assert undo(engine) == "refunded"
    with Session(engine) as session, session.begin():
        assert barrier_sync(session, backward("inv_1.2"), refund_sync) is None
        assert barrier_sync(session, backward("inv_1.2"), refund_sync) is None
    with pytest.raises(StepAbandoned), Session(engine) as session, session.begin():
        barrier_sync(session, forward("inv_1.2"), pay_sync)
    assert effects(engine) == ["pay", REFUND]
    assert states(engine) == {"inv_1.1": "undone", "inv_1.2": "blocked"}
