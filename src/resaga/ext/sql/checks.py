"""What the barrier refuses before it writes anything (R21)."""

from __future__ import annotations

from typing import TypeAlias, cast

from restate.extensions import current_context
from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session

from resaga.action import inside_action, own_context
from resaga.contexts import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    StepContext,
)
from resaga.errors import MisuseError
from resaga.ext.sql.rows import DIALECTS
from resaga.ext.sql.table import KEY_LENGTH

__all__ = ["AnyStep", "check_connection", "check_session", "check_step", "forward_key"]

AnyStep: TypeAlias = StepContext | CompensationContext
"""A context, of either kind; that of durable code is one of them."""


def check_step(step: AnyStep) -> None:
    """Refuse what is no context of a step, and one that is not in its place.

    Raises:
        MisuseError: It belongs to another step than the one that runs here, or to none that does.
    """
    if not isinstance(cast("object", step), StepContext | CompensationContext):
        raise MisuseError(
            f"barrier: `step` is {type(step).__name__}. Give the context that the action or the "
            "compensation got: barrier(session, step, action)."
        )
    undoes = isinstance(step, CompensationContext)
    what = f"the compensation of step {step.name!r}" if undoes else f"step {step.name!r}"
    if step.over:
        raise MisuseError(
            f"barrier: the context of {what} is used after that has ended, so that what happens "
            "here would be taken for its effect. Call the barrier within the function that was "
            "given the context, and do not let that end before what it began."
        )
    here = inside_action()
    if here is None:
        # Durable code is not inside an action, and a context made by hand is in no saga at all.
        if not _is_durable(step) and _in_an_invocation():
            raise MisuseError(
                f"barrier: the context of {what} is used outside of it, where Restate repeats what "
                "it replays under a key that is spent. Call the barrier within the function that "
                "was given the context."
            )
    elif not _belongs_here(step):
        raise MisuseError(
            f"barrier: the context of {what} is used inside {here}, so that what happens there "
            "would be noted as the other's. Give the context that this very function got."
        )
    if len(forward_key(step)) > KEY_LENGTH:
        raise MisuseError(
            f"barrier: the key of {what} is longer than {KEY_LENGTH} characters, which is what the "
            "table holds. Nest fewer sagas and branches in each other."
        )


def _belongs_here(step: AnyStep) -> bool:
    """Whether it is the context of the action that runs here; its key is that call's alone."""
    own = own_context()
    if own is None:
        # What durable code runs with step.ctx, as an action without a context of its own.
        return _is_durable(step)
    return own.idempotency_key == step.idempotency_key and own.saga_id == step.saga_id


def _is_durable(step: AnyStep) -> bool:
    return isinstance(step, DurableStepContext | DurableCompensationContext)


def forward_key(step: AnyStep) -> str:
    """The key of the row: that of the action, which its compensation knows, too."""
    if isinstance(step, CompensationContext):
        return step.forward_idempotency_key
    return step.idempotency_key


def check_session(session: Session | Connection) -> None:
    """Refuse a session in which nothing has been begun.

    Raises:
        MisuseError: It is in no transaction.
    """
    if not session.in_transaction():
        raise MisuseError(
            "barrier: the session is in no transaction, so the effect and its record could be "
            "lost one without the other. Begin one around the barrier: "
            "`async with session.begin():`, or `async with sessions.begin() as session:`."
        )


def check_connection(connection: Connection) -> None:
    """Refuse databases that are not known, and connections that commit each statement.

    Raises:
        MisuseError: It is one of those.
    """
    dialect = connection.dialect
    if dialect.name not in DIALECTS:
        raise MisuseError(
            f"barrier: {dialect.name} is not supported. It works with PostgreSQL, MySQL, MariaDB "
            "and SQLite."
        )
    driver = connection.connection.dbapi_connection
    assert driver is not None
    # With SQLite, some begin by hand on a connection that else commits by itself: that counts.
    begun = dialect.name == "sqlite" and _begun_by_hand(driver)
    if not begun and dialect.detect_autocommit_setting(driver):
        raise MisuseError(
            "barrier: the connection is in autocommit mode, in which each statement is a "
            "transaction of its own, so the effect and its record could be lost one without the "
            "other. Use an engine or connection with another isolation_level than AUTOCOMMIT."
        )


def _begun_by_hand(driver: DBAPIConnection) -> bool:
    # The async drivers' connections are within an adapter.
    within: object = getattr(driver, "driver_connection", driver)
    return bool(getattr(within, "in_transaction", False))


def _in_an_invocation() -> bool:
    try:
        return current_context() is not None
    except LookupError:
        return False
