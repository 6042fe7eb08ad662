"""One passage through the barrier: what is written before the action, and what after it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import UnsetType
from sqlalchemy import Connection, RootTransaction, Table
from sqlalchemy.engine import Transaction
from sqlalchemy.orm import Session, SessionTransaction

from resaga.contexts import CompensationContext
from resaga.errors import MisuseError
from resaga.ext.sql.checks import AnyStep, check_connection, check_session, check_step, forward_key
from resaga.ext.sql.errors import StepAbandoned
from resaga.ext.sql.results import NOTHING, ActionTypes, types_of
from resaga.ext.sql.rows import Found, State, enter, finish

__all__ = ["Held", "Passage"]


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing runs.

    Attributes:
        value: What the barrier returns.
    """

    value: object


class Passage:
    """One call of the barrier: `enter`, then the action unless it is `Held`, then `leave`.

    Whatever fails in between, `roll_back` comes last: an action that raised must not be committed
    by someone who caught that, half done or under a row that says it is done.
    """

    def __init__(
        self,
        step: AnyStep,
        action: Callable[..., object],
        *,
        arguments: int,
        result_type: object | UnsetType,
        stored_type: object | UnsetType,
        table: Table,
    ) -> None:
        """Nothing is written yet.

        Raises:
            MisuseError: Step and action are none that the barrier can work with.
        """
        check_step(step)
        self._step = step
        self._undoes = isinstance(self._step, CompensationContext)
        what = "the compensation of step" if self._undoes else "step"
        self._where = f"{what} {self._step.name!r} (saga {self._step.saga_id})"
        self._types: ActionTypes = types_of(
            action,
            self._step,
            arguments=arguments,
            result_type=result_type,
            stored_type=stored_type,
            where=self._where,
        )
        self._table = table
        self._key = forward_key(self._step)
        self._name = self._step.name.replace("\0", "\\0")  # PostgreSQL's text holds no NUL.
        self._root: SessionTransaction | RootTransaction | None = None
        self._inner: SessionTransaction | Transaction | None = None

    def enter(self, session: Session | Connection) -> Held | tuple[object, ...]:
        """Write the row, or meet the one that is there: the one round trip before the action.

        Returns:
            What the action gets after the session, or that it does not run.

        Raises:
            MisuseError: The session, the table or the row is none that this step can use.
            StepAbandoned: The compensation came first.
            CodecError: What the row holds is not of the declared type.
        """
        check_session(session)
        connection = session.connection() if isinstance(session, Session) else session
        check_connection(connection)
        self._root = session.get_transaction()
        self._inner = session.get_nested_transaction() or self._root
        found = enter(
            connection,
            self._table,
            key=self._key,
            step=self._name,
            state="blocked" if self._undoes else self._first_state,
            result=None if self._undoes or not self._types.returns_nothing else NOTHING,
            look_first=self._undoes,
        )
        return self._undo(found) if self._undoes else self._do(found)

    def leave(self, session: Session | Connection, result: object) -> None:
        """Store what the action returned: the second round trip, unless it returns nothing.

        Raises:
            MisuseError: The action has ended the transaction.
            CodecError: The result cannot be stored.
        """
        root = self._root
        if root is None or session.get_transaction() is not root or not root.is_active:
            raise MisuseError(
                f"{self._where}: its action has ended the transaction that the barrier is in, so "
                "that its effect and its record are no longer one. Take commit() and rollback() "
                "out of the action: they are for the code around the barrier."
            )
        json = self._types.write(result)
        if not self._undoes and self._types.returns_nothing:
            return
        finish(
            session.connection() if isinstance(session, Session) else session,
            self._table,
            key=self._key,
            before="done" if self._undoes else "started",
            after="undone" if self._undoes else "done",
            result=json,
        )

    def roll_back(self, _session: Session | Connection) -> None:
        """Roll the user's transaction back, or the savepoint in it that the barrier is in."""
        if self._inner is not None and self._inner.is_active:
            # Where the connection is gone, the database has done it.
            with contextlib.suppress(Exception):
                self._inner.rollback()

    @property
    def _first_state(self) -> State:
        """Where there is nothing to store, one statement says it all: only success is committed."""
        return "done" if self._types.returns_nothing else "started"

    def _do(self, found: Found | None) -> Held | tuple[object, ...]:
        if found is None:
            return ()
        self._check_found(found)
        if found.state == "blocked":
            raise StepAbandoned(self._step.name)
        return Held(self._types.read(found.result))

    def _undo(self, found: Found | None) -> Held | tuple[object, ...]:
        if found is None:
            return Held(None)
        self._check_found(found)
        if found.state == "blocked":
            return Held(None)
        if found.state == "undone":
            return Held(self._types.read(found.undo_result))
        return (self._types.read_stored(found.result),)

    def _check_found(self, found: Found) -> None:
        if found.step != self._name:
            raise MisuseError(
                f"{self._where}: its key is already in {self._table.fullname}, for step "
                f"{found.step!r}. A key belongs to one call of one step: give the barrier the "
                "context that the function got, and do not make keys by hand."
            )
        if found.state == "started":
            raise MisuseError(
                f"{self._where}: the row in {self._table.fullname} says that its action has "
                "started and not that it ended, so the action has committed the transaction by "
                "itself, and how far it got is not known. Take commit() out of the action; then "
                "look at its effect, and set the row's state to done (with its result) or delete "
                "the row."
            )
