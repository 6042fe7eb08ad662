"""`saga.state`: the state of a virtual object or Restate workflow, with undo (R9, R18)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, cast, overload

from restate.serde import BytesSerde
from restate.server_context import ServerDurableFuture
from restate.vm import SingleUnresolvedFuture
from typing_extensions import TypeForm, TypeVar

from resaga.action import forbid_in_action
from resaga.attempt import Attempt
from resaga.errors import CodecError, CompensationFailure, MisuseError
from resaga.line import Line
from resaga.scope import current_shield
from resaga.serde import Codec, codec_for

__all__ = ["SagaState"]

T = TypeVar("T")

_BYTES = BytesSerde()


class SagaState:
    """The state of the object's or workflow's key, as ``saga.state``.

    A change is in Restate's state at once, as with ``ctx.set``, and what was there before is
    restored when the saga rolls back, or the savepoint that the change stands in: to the byte,
    and a key that was absent is absent again. It takes its turn among the compensations of
    the steps, newest first, and costs no action: the old value is read into the journal when the
    change is made, and written back in the rollback, which a crash does not lose.

    Use it for what belongs to the saga (a balance that a transfer changes), and ``ctx.set`` for
    what should stay whatever becomes of the saga (a count of attempts, the reason of the last
    failure). Do not mix both on one key: a rollback restores what was there when ``saga.state``
    changed it.
    """

    def __init__(self, attempt: Attempt, line: Callable[[], Line]) -> None:
        self._attempt = attempt
        self._line = line

    @overload
    async def get(self, name: str) -> Any: ...
    @overload
    async def get(self, name: str, type_hint: TypeForm[T]) -> T | None: ...
    async def get(self, name: str, type_hint: object = Any) -> object:
        """The value under a key, or ``None`` if there is none.

        On replay it is the value that the journal holds.

        Args:
            name: The key.
            type_hint: The type to read it as; without one, plain JSON values.

        Raises:
            CodecError: What is there does not fit the type. Restate tries again.
            MisuseError: It is called inside an action (R14).

        Example::

            balance = await saga.state.get("balance", int) or 0
        """
        attempt = self._begin("get", name)
        codec = codec_for(type_hint, where=attempt.where(f"state {name!r}"))
        raw = await attempt.journal.ctx.get(name, serde=_BYTES)
        if raw is None:
            return None
        try:
            return codec.decode(raw)
        except CodecError as exc:
            raise CodecError(f"{attempt.where(f'state {name!r}')}: {exc}") from None

    # No `T` for both: type checkers would find one for every pair, `object`, and pyright none for
    # a value and a union it is part of. What does not fit is refused at run time.
    def set(
        self, name: str, value: object, type_hint: TypeForm[object] | None = None
    ) -> Awaitable[None]:
        """Set a key, and restore in a rollback what is there now.

        It is done when the call returns; awaiting what it gives waits until the old value is in
        the journal, which only matters where state is not preloaded.

        Args:
            name: The key.
            value: The new value; ``None`` is a value, use `clear` to remove a key.
            type_hint: The type to write it as, where the value's own class does not tell: a
                list of dataclasses, say.

        Raises:
            CodecError: The value cannot be written so that it comes back as it is. Nothing is
                changed.
            MisuseError: It is called inside an action, or in a compensation (R14).

        Example::

            await saga.state.set("balance", balance - transfer.amount)
        """
        attempt = self._begin("set", name)
        where = attempt.where(f"state {name!r}")
        codec: Codec[Any] = codec_for(type(value) if type_hint is None else type_hint, where=where)
        try:
            raw = codec.encode(value)
        except CodecError as exc:
            raise CodecError(
                f"{where}: {exc}. Where the class of the value does not tell its type, give it: "
                "saga.state.set(name, value, list[Order])."
            ) from None
        before = self._remember(attempt, name)
        attempt.journal.ctx.set(name, raw, serde=_BYTES)
        return before

    def clear(self, name: str) -> Awaitable[None]:
        """Remove a key, and restore in a rollback what is there now; else as `set`.

        Example::

            await saga.state.clear("hold")
        """
        attempt = self._begin("clear", name)
        before = self._remember(attempt, name)
        attempt.journal.ctx.clear(name)
        return before

    def _begin(self, what: str, name: str) -> Attempt:
        attempt = self._attempt
        forbid_in_action("saga.state")
        if what != "get" and current_shield.get() is not None:
            raise MisuseError(
                f"{attempt.where(f'saga.state.{what}({name!r})')} was called in a compensation: a "
                "rollback is not rolled back. Use the Restate context there, step.ctx.set(...)."
            )
        attempt.journal.check()
        return attempt

    def _remember(self, attempt: Attempt, name: str) -> _Before:
        line = self._line()
        before = _Before(attempt, name)
        line.frame.push(
            _Restore(
                name=name, before=before, undo_key=f"{attempt.journal.saga_id}.{line.next_path()}"
            )
        )
        return before


class _Before:
    """What was under a key before a change, on its way into the journal."""

    def __init__(self, attempt: Attempt, name: str) -> None:
        self._journal = attempt.journal
        # A durable future keeps an interruption that it meets while it is awaited, so only the
        # rollback, where nothing interrupts, awaits this one.
        self._future = cast(
            "ServerDurableFuture[bytes | None]", self._journal.ctx.get(name, serde=_BYTES)
        )

    def __await__(self) -> Generator[Any, Any, None]:
        return self._arrived().__await__()

    async def _arrived(self) -> None:
        if not self._future.is_completed():
            await self._journal.wait(SingleUnresolvedFuture(self._future.handle))

    async def value(self) -> bytes | None:
        value: bytes | None = await cast("Any", self._future)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Restore:
    """The undo of one change of the state."""

    name: str
    before: _Before
    undo_key: str

    async def undo(self, attempt: Attempt) -> CompensationFailure | None:
        """Write back what was there; this is a command of the journal, no action."""
        ctx = attempt.journal.ctx
        before = await self.before.value()
        if before is None:
            ctx.clear(self.name, entry_name=f"compensate:{self.name}")
        else:
            ctx.set(self.name, before, serde=_BYTES, entry_name=f"compensate:{self.name}")
        return None
