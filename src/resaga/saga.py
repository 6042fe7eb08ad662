"""The saga in hand: what a workflow's body works with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Generic, cast, overload

from restate.context import Context
from typing_extensions import TypeVar

from resaga.action import forbid_in_action
from resaga.attempt import Attempt
from resaga.branches import Branch, close
from resaga.classify import ErrorMapper, raise_terminal, terminal_of
from resaga.compensation import Compensation, unwind
from resaga.contexts import CompensationContext
from resaga.errors import MisuseError, RollbackIncomplete
from resaga.injection import Code
from resaga.line import Line
from resaga.policy import Retry
from resaga.scope import current_waiter
from resaga.signature import check_function
from resaga.state import SagaState

__all__ = ["Saga", "check_name"]

S_co = TypeVar("S_co", covariant=True, default=object)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")
K = TypeVar("K")
J = TypeVar("J")


class Saga(Generic[S_co]):
    """One run of a workflow: one Restate invocation, seen from its body.

    You get it as the first argument of a workflow, give it to the steps you await, and keep it
    no longer than the body runs.
    """

    def __init__(self, attempt: Attempt, line: Line) -> None:
        self._attempt = attempt
        self._root = line

    @property
    def _line(self) -> Line:
        """The branch that is running, or the body: a saga is the same object in all of them."""
        waiter = current_waiter.get()
        if isinstance(waiter, Branch) and isinstance(waiter.line, Line):
            return waiter.line
        return self._root

    @property
    def id(self) -> str:
        """The invocation id: the same on every attempt, and what Restate's tools know it by."""
        return self._attempt.journal.saga_id

    @property
    def ctx(self) -> Context:
        """The Restate context, for calls, sleeps, promises and the rest.

        Raises:
            MisuseError: It is used inside an action, where nothing may be journaled (R14).
        """
        forbid_in_action("saga.ctx")
        return self._attempt.journal.ctx

    @property
    def services(self) -> S_co:
        """What the definition's ``services`` or ``services_from`` gave."""
        return cast(S_co, self._attempt.services)

    @property
    def state(self) -> SagaState:
        """The state of the virtual object or Restate workflow, with undo.

        What a saga sets or clears here is restored when it rolls back, or the savepoint around
        it does. ``ctx.get`` and ``ctx.set`` stay as they are, and are not undone.

        Raises:
            MisuseError: There is no state here: a plain workflow has no key that could hold one.
        """
        attempt = self._attempt
        if not attempt.journal.ctx.has_state:
            raise MisuseError(
                f"{attempt.where('saga.state')}: a plain workflow has no state. Make it a "
                "SagaVirtualObject or a saga_restate_workflow, whose key holds it, or keep it in "
                "a database, in a step."
            )
        return SagaState(attempt, lambda: self._line)

    def _require_promises(self, what: str) -> None:
        """Refuse what needs durable promises where there are none (R21)."""
        attempt = self._attempt
        if not attempt.journal.ctx.has_promises:
            raise MisuseError(
                f"{attempt.where(what)}: a Restate workflow runs inside another Restate workflow "
                "only, as it needs durable promises, and this saga is none. Call it through "
                "workflow_client(saga, workflow, key), or make this one a saga_restate_workflow."
            )

    def _inside(self, name: str, mapper: ErrorMapper | None) -> Saga[S_co]:
        """This saga as what runs inside sees it, with a name and error mapping of its own."""
        attempt = self._attempt
        inner = replace(
            attempt,
            mappers=(mapper, *attempt.mappers),
            within=(*attempt.within, (name, self._line.coming_path)),
        )
        return Saga(inner, self._root)

    # fmt: off
    @overload
    async def gather(self) -> tuple[()]: ...
    @overload
    async def gather(self, a: Awaitable[A], /) -> tuple[A]: ...
    @overload
    async def gather(self, a: Awaitable[A], b: Awaitable[B], /) -> tuple[A, B]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], /
    ) -> tuple[A, B, C]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], /
    ) -> tuple[A, B, C, D]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], e: Awaitable[E],
        /
    ) -> tuple[A, B, C, D, E]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], e: Awaitable[E],
        f: Awaitable[F], /
    ) -> tuple[A, B, C, D, E, F]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], e: Awaitable[E],
        f: Awaitable[F], g: Awaitable[G], /
    ) -> tuple[A, B, C, D, E, F, G]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], e: Awaitable[E],
        f: Awaitable[F], g: Awaitable[G], h: Awaitable[H], /
    ) -> tuple[A, B, C, D, E, F, G, H]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], e: Awaitable[E],
        f: Awaitable[F], g: Awaitable[G], h: Awaitable[H], k: Awaitable[K], /
    ) -> tuple[A, B, C, D, E, F, G, H, K]: ...
    @overload
    async def gather(
        self, a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], e: Awaitable[E],
        f: Awaitable[F], g: Awaitable[G], h: Awaitable[H], k: Awaitable[K], j: Awaitable[J], /
    ) -> tuple[A, B, C, D, E, F, G, H, K, J]: ...
    @overload
    async def gather(self, *branches: Awaitable[A]) -> tuple[A, ...]: ...
    # fmt: on
    async def gather(self, *branches: Awaitable[Any]) -> tuple[Any, ...]:
        """Run branches side by side, and give their values in the order of the arguments (R17).

        A branch is a step called with this saga, or an ``async def`` of yours that awaits steps,
        durable waits and further gathers. They replay in the same order whatever took how long.
        If one fails for good, the others finish the step they are in and start no other; the
        first error is then raised here. When the saga rolls back, branches are undone side by
        side, each newest first.

        Args:
            *branches: Coroutines, not begun yet. Tasks are refused: they run outside of the
                journal's order.

        Raises:
            TerminalError: The first branch's that failed for good; the saga rolls back unless
                the body catches it (R5).
            MisuseError: A branch is a task, awaits something that is not durable, or the body
                has a step in flight.

        Example::

            hold, quote = await saga.gather(reserve(saga, order), quote_shipping(saga, order))
        """
        attempt, line = self._attempt, self._line
        with ExitStack() as unused:
            unused.callback(close, branches)
            forbid_in_action("saga.gather")
            _check_branches(attempt, branches)
            line.begin("gather", attempt)
            unused.callback(line.end)
            attempt.journal.check()
            path = line.next_path()
            prefixes = [f"{path}.{number}." for number in range(1, len(branches) + 1)]
            frames = line.frame.fork(len(branches))
            lines = [
                Line(prefix, frame, line.last_pivot)
                for prefix, frame in zip(prefixes, frames, strict=True)
            ]
            arms = list(zip(prefixes, lines, branches, strict=True))
            unused.pop_all()  # From here on the scheduler closes them.
        try:
            return tuple(
                await attempt.scheduler.run(
                    arms, where=attempt.where("The body"), mappers=attempt.mappers
                )
            )
        finally:
            line.end()

    def savepoint(self) -> AbstractAsyncContextManager[None, None]:
        """A scope that can be rolled back alone (R18).

        If the block fails for good, only what was registered in it is undone, newest first, and
        the error goes on; catch it around the scope and take another way. If it succeeds, what
        it registered stays, and is undone if the saga fails later. Savepoints stand inside each
        other and inside branches. A cancel does not skip a rollback (R8).

        Raises:
            TerminalError: The block's own, when all it did is undone.
            RollbackIncomplete: Some of its compensations failed for good. If the saga goes on
                and fails later, its own `RollbackIncomplete` names them, too.

        Example::

            try:
                async with saga.savepoint():
                    await book_flight(saga, trip)
                    await book_hotel(saga, trip)
            except TerminalError:
                await book_train(saga, trip)
        """
        # It never suppresses what the block raised, so `return` in a block is no dead code.
        return cast("AbstractAsyncContextManager[None, None]", self._savepoint())

    @asynccontextmanager
    async def _savepoint(self) -> AsyncGenerator[None, None]:
        forbid_in_action("saga.savepoint")
        attempt, line = self._attempt, self._line
        attempt.journal.check()
        mark = line.frame.mark()
        try:
            yield
        except BaseException as exc:
            terminal = terminal_of(exc, *attempt.mappers)
            if terminal is None:
                raise
            await attempt.journal.drain()
            failures = await unwind(attempt, line.frame, mark)
            if not failures:
                raise
            attempt.left_undone.extend(failures)
            raise_terminal(RollbackIncomplete(terminal, failures))

    def pivot(self) -> None:
        """The point of no return: what was registered so far is not undone any more (R19).

        That holds also for what was registered before a savepoint that this stands in. What is
        registered later is still undone when the saga fails later.

        Raises:
            MisuseError: It is called in a branch: what the other branches have done would still
                be undone.
        """
        forbid_in_action("saga.pivot")
        attempt, line = self._attempt, self._line
        if line is not self._root:
            raise MisuseError(
                f"{attempt.where('saga.pivot()')} was called in a branch of saga.gather. What the "
                "other branches do would still be undone, so there is no point of no return in "
                "one. Call it before the gather or after it."
            )
        attempt.journal.check()
        line.pivot()
        if attempt.interceptor is not None:
            attempt.interceptor.pivoted()

    def add_compensation(
        self,
        name: str,
        fn: Callable[[CompensationContext[S_co, D], D], object],
        data: D,
        *,
        retry: Retry | None = None,
    ) -> None:
        """Register a compensation without a step.

        If the saga fails later, it runs in its turn: newest first, among those of the steps. It
        is journaled as ``compensate:`` and the name.

        Args:
            name: Its name, in the journal and for observers.
            fn: ``async def`` or plain ``def``, called with a `CompensationContext` and ``data``.
            data: What ``fn`` gets. It is not journaled: the body computes it again on replay.
            retry: How often an ordinary error is retried; by default until it works (R11).

        Raises:
            MisuseError: There is no name, or ``fn`` is no function.

        Example::

            saga.add_compensation("CloseTicket", close_ticket, ticket_id)
        """
        forbid_in_action("saga.add_compensation")
        where = self._attempt.where(f"compensation {name!r}")
        check_name(name, "compensation")
        check_function(fn, where=where)
        code = Code(fn, given=2, where=where)
        code.check(self._attempt)
        self._attempt.journal.check()
        line = self._line
        path = line.next_path()
        line.note_added(path, name)
        key = f"{self.id}.{path}"
        line.frame.push(
            Compensation(
                name=name,
                path=path,
                fn=code,
                durable=False,
                retry=retry,
                forward_key=key,
                undo_key=f"{key}.undo",
                input=data,
                data=lambda: data,
                outcome="completed",
            )
        )


def _check_branches(attempt: Attempt, branches: Sequence[Awaitable[Any]]) -> None:
    wrong = next((b for b in branches if isinstance(b, asyncio.Future)), None)
    if wrong is not None:
        raise MisuseError(
            f"{attempt.where('saga.gather')} was given {type(wrong).__name__}. It runs already, "
            "outside of the journal's order. Give coroutines: saga.gather(step(saga, x), ...)."
        )


def check_name(name: object, what: str) -> None:
    """Refuse a name that the journal cannot carry (R21, R27)."""
    if not isinstance(name, str) or not name:
        raise MisuseError(
            f"A {what} has the name {name!r}. Give a non-empty string: it is what the journal, "
            "the error messages and the observers call it by."
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise MisuseError(
            f"The {what} name {name!r} has a lone surrogate, which JSON cannot carry. Use text."
        ) from None
