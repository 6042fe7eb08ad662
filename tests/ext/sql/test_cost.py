"""What the barrier sends to the database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from resaga.ext.sql import StepAbandoned, barrier_sync
from tests.ext.sql.effects import backward, forward, pay_sync, refund_sync


@contextmanager
def statements(engine: Engine) -> Generator[list[str]]:
    """What is sent meanwhile, the effects' own statements aside."""
    sent: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "effects" not in statement:
            sent.append(statement.split(maxsplit=1)[0])

    event.listen(engine, "before_cursor_execute", hear)
    yield sent
    event.remove(engine, "before_cursor_execute", hear)


def note(session: Session) -> None:
    pay_sync(session)


def undo_note(session: Session, stored: None) -> None:
    pay_sync(session)


@pytest.mark.parametrize("returning", [True, False])
def test_statements(engine: Engine, returning: bool) -> None:
    if not returning:
        if engine.dialect.name not in ("mysql", "mariadb"):
            return
        with engine.connect():
            engine.dialect.insert_returning = False
    met = ["INSERT"] if returning else ["INSERT", "SELECT"]
    found = ["INSERT"] if returning else ["SELECT"]
    with Session(engine) as session, session.begin():
        with statements(engine) as sent:
            barrier_sync(session, forward("nothing"), note)
        assert sent == ["INSERT"]
        with statements(engine) as sent:
            barrier_sync(session, forward("result"), pay_sync)
        assert sent == ["INSERT", "UPDATE"]
        with statements(engine) as sent:
            barrier_sync(session, forward("result"), pay_sync)
        assert sent == met
        for expected in ([*found, "UPDATE"], found):
            with statements(engine) as sent:
                barrier_sync(session, backward("nothing"), undo_note)
            assert sent == expected
            with statements(engine) as sent:
                barrier_sync(session, backward("result"), refund_sync)
            assert sent == expected
        with statements(engine) as sent:
            barrier_sync(session, backward("absent"), refund_sync)
        assert sent == (["INSERT"] if returning else ["SELECT", "INSERT"])
        with statements(engine) as sent, pytest.raises(StepAbandoned):
            barrier_sync(session, forward("absent"), pay_sync)
        assert sent == met
