"""Waiting as a saga needs it: run an action, wait, drain, shield, deadline.

What was measured (restate-sdk 1.3.0, restate-server 1.7.12):

- A cancel is a notification of the journal, so every attempt meets it at the same wait. The SDK
  raises it there once as ``TerminalError("cancelled", 409)``, and goes on as if nothing had
  happened: making it stick is our part (R5).
- The action of a run begins at the first wait that includes its handle, and not when that wait
  meets the cancel first. So a run that is pending after a cancel has not begun in this attempt,
  and has no result in the journal either; every attempt that finds the journal so decides
  alike (R7).
- An invocation that took a cancel and then suspends is resumed at once, some 400 times a
  second, as the cancel still counts as news (`Journal._hold_back`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

from restate import TerminalError
from restate.context import Context, RunOptions, SendHandle
from restate.exceptions import SdkInternalBaseException, SuspendedException
from restate.serde import BytesSerde, Serde
from restate.server_context import DisconnectedException, ServerCallDurableFuture
from restate.vm import SingleUnresolvedFuture, UnresolvedFuture

from resaga.action import Running, call, runs_in_thread
from resaga.calls import Calls
from resaga.errors import (
    DeadlineExceeded,
    Interruption,
    MisuseError,
    SagaCancelled,
    is_rollback_incomplete,
)
from resaga.flight import InFlight
from resaga.handles import all_of, any_of, handles
from resaga.policy import Retry
from resaga.scope import (
    Shield,
    current_acting,
    current_line,
    current_shield,
    current_waiter,
)
from resaga.seam import SagaContext, take_seam
from resaga.wire import raise_carriable

__all__ = ["Journal"]

T = TypeVar("T")

_BYTES = BytesSerde()


def _options(policy: Retry) -> RunOptions[bytes]:
    """A run's options, for the SDK."""
    return RunOptions(
        serde=_BYTES,
        max_attempts=policy.max_attempts,
        max_duration=policy.max_duration,
        initial_retry_interval=policy.initial_interval,
        max_retry_interval=policy.max_interval,
        retry_interval_factor=policy.factor,
    )


_NO_LIMIT = _options(Retry())
"""Made once: most steps ask for nothing else."""

HOLD_BACK = timedelta(seconds=0.75)
"""How long a suspension is held back after a cancel, see `Journal._hold_back`."""


class Journal:
    """One attempt of a saga, as the journal and the server see it.

    Attributes:
        saga_id: The invocation id.
        interrupt: The cancel or the passed deadline that this attempt has met; it sticks (R5).
        fresh: Whether the journal had no entry yet when the attempt began (R25, R28).
    """

    def __init__(
        self, ctx: Context, running: Running, *, deadline: timedelta | None = None
    ) -> None:
        self.ctx: SagaContext = take_seam(ctx)
        self.ctx.hooks = self
        self.saga_id: str = self.ctx.invocation.invocation_id
        self.fresh: bool = not self.ctx.vm.is_replaying()
        self.interrupt: Interruption | None = None
        self._over: BaseException | None = None
        self._cancelled = False
        self._running = running
        self._deadline = deadline
        self._deadline_handle: int | None = None
        self._runs: dict[int, str] = {}
        self._in_flight = InFlight(self.ctx.send_output, self.ctx.is_pending_run)
        self._calls = Calls(self.ctx)

    # -- what the rest of resaga uses ------------------------------------------------------

    @property
    def replaying(self) -> bool:
        """Whether what happens now was in the journal already when the attempt began."""
        return self.ctx.vm.is_replaying()

    @property
    def interrupted(self) -> bool:
        """Whether the forward part of this line of execution is to end early."""
        return self._interruption() is not None

    def begin_thread(self) -> Callable[[], None]:
        """Note a thread of this saga; call what it gives when the thread has ended (R6)."""
        return self._running.begin(self.saga_id, current_acting.get())

    def check(self) -> None:
        """Raise what interrupts the forward part again, outside of a rollback (R5).

        An attempt that is over stays so, whoever caught the exception that said it: what it
        would do now, a rollback above all, its heir does too, or does not have to do (R4).
        """
        if self._over is not None:
            raise self._over
        interruption = self._interruption()
        if interruption is not None and current_shield.get() is None:
            raise interruption

    def refuse(self, error: MisuseError) -> None:
        """Let this attempt end with an error, whatever the code makes of it.

        Nobody looks for progress from here on. Else a wait in a task beside the one that failed
        might suspend the attempt before the error is told.
        """
        self._over = error

    async def run(
        self, name: str, action: Callable[[], Awaitable[bytes]], *, retry: Retry | None = None
    ) -> bytes:
        """Run an action under a name and journal its result, once; on replay, give the result.

        Raises:
            Interruption: The forward part is interrupted, and the action has not begun in this
                attempt.
            TerminalError: The journal has a failure: retries are exhausted, or ``action``
                raised a terminal error.
        """
        options = _NO_LIMIT if retry is None else _options(retry)
        return await self.ctx.result_of_run(name, action, options)

    async def drain(self) -> None:
        """Wait until nothing that this line of execution began is still under way (R6).

        That is each action that runs in this process, one left over from an earlier attempt
        included, and once interrupted also each remote call, which is cancelled by then.
        """
        prefix = current_line()
        with self.io():
            await self._drain_actions(prefix)
        if self.interrupt is not None:
            unanswered = self._calls.unanswered(prefix)
            if unanswered:
                with self.shield(""):
                    await self.wait(all_of(unanswered))

    @contextmanager
    def io(self) -> Generator[None]:
        """Let this line of execution await what is not durable inside.

        In a branch the others wait for it meanwhile, so that what is durable keeps its order.
        """
        waiter = current_waiter.get()
        if waiter is None:
            yield
            return
        before, waiter.draining = waiter.draining, True
        try:
            yield
        finally:
            waiter.draining = before

    @contextmanager
    def shield(self, key: str) -> Generator[None]:
        """Do not let a cancel into the waits inside, nor into the calls they wait for (R8)."""
        token = current_shield.set(Shield(key))
        try:
            yield
        finally:
            current_shield.reset(token)

    # -- waiting ---------------------------------------------------------------------------

    async def wait(self, wanted: UnresolvedFuture) -> None:
        """Wait until ``wanted`` is there; all durable waiting comes through here.

        In the forward part a cancel interrupts it, but for what is already under way: an action
        that runs and a remote call are waited for, and their results count (R6, R7). In a
        rollback nothing interrupts it (R8).
        """
        if current_shield.get() is not None:
            wanted = await self._calls.attached(wanted)
            while not await self._progress(wanted, shielded=True):
                pass
            return
        self.check()
        if await self._progress(wanted, shielded=False):
            return
        runs = self.runs_under_way(wanted)
        under_way = runs + [h for h in handles(wanted) if h in self._calls]
        if under_way:
            with self.io():
                await self.end_of_actions(runs)
            remaining = all_of(under_way)
            while not await self._progress(remaining, shielded=True):
                pass
        if not self.ctx.is_there(wanted):
            interruption = self._interruption()
            assert interruption is not None
            raise interruption

    async def progress(self, wanted: UnresolvedFuture, *, forward: bool) -> bool:
        """Look for progress; whether ``wanted`` is there, or an interruption came instead.

        Args:
            wanted: What to wait for.
            forward: Whether the deadline counts, which bounds the forward part only (R20).
        """
        if self._over is not None:  # Before the deadline's timer is made, which writes.
            raise self._over
        bounded = self._bounded(wanted) if forward else wanted
        try:
            arrived = await self.ctx.poll(bounded)
        except (SdkInternalBaseException, DisconnectedException) as exc:
            self._over = exc
            if isinstance(exc, SuspendedException):
                await self._hold_back(bounded)
            raise
        if not arrived:
            self._cancelled = True
            self.interrupt = self.interrupt or SagaCancelled()
            return False
        if bounded is wanted or self.ctx.is_there(wanted):
            return True
        self.interrupt = DeadlineExceeded(
            f"the deadline of {self._deadline} passed before the saga was done"
        )
        with self.shield(""):
            await self._calls.cancel()
        return False

    async def end_of_actions(self, runs: Sequence[int]) -> None:
        """Wait until the actions among these have ended here, without a look for progress (R17).

        Raises:
            DisconnectedException: The server has given this attempt up meanwhile.
        """
        if self._in_flight.are_any(runs):
            await self._or_gone(self._in_flight.ended(runs))

    def runs_under_way(self, wanted: UnresolvedFuture) -> list[int]:
        """Which of these are runs that have begun in this attempt, or have their results."""
        return [h for h in handles(wanted) if h in self._runs and not self.ctx.is_pending_run(h)]

    def _interruption(self) -> Interruption | None:
        if self.interrupt is not None:
            # As a new exception: raised again, one instance would grow its traceback.
            return type(self.interrupt)(self.interrupt.message)
        waiter = current_waiter.get()
        return None if waiter is None else waiter.abandoned()

    def _progress(self, wanted: UnresolvedFuture, *, shielded: bool) -> Coroutine[Any, Any, bool]:
        waiter = current_waiter.get()
        if waiter is None:
            return self.progress(wanted, forward=not shielded)
        return waiter.progress(wanted, shielded=shielded)

    def _bounded(self, wanted: UnresolvedFuture) -> UnresolvedFuture:
        """``wanted`` or the deadline, as long as that counts (R20)."""
        if self._deadline is None or self.interrupt is not None:
            return wanted
        return any_of([wanted, SingleUnresolvedFuture(self._deadline_of(self._deadline))])

    async def _hold_back(self, wanted: UnresolvedFuture) -> None:
        """After a cancel, do not suspend at once: the server would resume at once, and so on.

        What waits for an action of this attempt is not held back: its result is on its way to
        the journal, so that resuming is progress.
        """
        if self._cancelled and not self._in_flight.has_begun_any(handles(wanted)):
            await asyncio.sleep(HOLD_BACK.total_seconds())

    def _deadline_of(self, deadline: timedelta) -> int:
        # Made at the first wait, when the first step has its entry already: a deadline adds no
        # entry before it (R29).
        if self._deadline_handle is None:
            timer = self.ctx.sleep(deadline, name="deadline")
            self._deadline_handle = cast("ServerCallDurableFuture[None]", timer).handle
        return self._deadline_handle

    async def _drain_actions(self, prefix: str) -> None:
        if not self._running.busy(self.saga_id, prefix):
            return
        idle = self._running.idle(self.saga_id, prefix)
        try:
            await self._or_gone(idle.wait())
        finally:
            self._running.forget(self.saga_id, idle)

    async def _or_gone(self, waits: Coroutine[Any, Any, object]) -> None:
        """Wait for something in this process.

        That reads nothing from the server, so it has to look after the connection itself: an
        attempt that was given up must not go on beside its heir.

        Raises:
            DisconnectedException: The server has given this attempt up.
        """
        wanted = asyncio.ensure_future(waits)
        gone = asyncio.ensure_future(self.ctx.connection_gone.wait())
        try:
            await asyncio.wait({wanted, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not wanted.done():
                self._over = DisconnectedException()
                raise self._over
        finally:
            wanted.cancel()
            gone.cancel()

    # -- what the context tells ------------------------------------------------------------

    async def execute(
        self, handle: int, action: Callable[[], Any], propose: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Run an action of this attempt, noted as running until it has ended."""
        prefix = self._runs.get(handle, "")
        ended = self._running.begin(self.saga_id, prefix)
        current_acting.set(prefix)

        async def guarded() -> Any:
            try:
                return await call(
                    action,
                    where=f"an action of saga {self.saga_id}",
                    threaded=runs_in_thread(action),
                    begin=self.begin_thread,
                )
            except TerminalError as exc:
                raise_carriable(exc)
            except Exception as exc:
                if prefix:  # In a branch of saga.gather; outside of one, nothing is beside it.
                    await self._in_flight.hold_failure(handle)
                raise_carriable(exc)

        self._in_flight.begin(handle)
        try:
            await propose(guarded)
        finally:
            ended()
            await self._in_flight.end(handle)

    @property
    def failing(self) -> bool:
        """Whether an action waits to fail, or the attempt is over: nobody looks for progress."""
        return self._over is not None or bool(self._in_flight.failing)

    async def settle(self) -> None:
        """Wait until no action waits to fail (R17).

        Raises:
            BaseException: The attempt is over.
            DisconnectedException: The server has given this attempt up meanwhile.
        """
        if self._over is not None:
            raise self._over
        await self._or_gone(self._in_flight.settled())

    def note_run(self, handle: int) -> None:
        """A run was created."""
        self._runs[handle] = current_line()
        if self.ctx.is_pending_run(handle):
            self._in_flight.expect(handle)

    def note_taken(self, handle: int) -> None:
        """A result went to whoever waited for it."""
        self._calls.note_taken(handle)

    def note_call(self, future: ServerCallDurableFuture[Any]) -> None:
        """A call to another handler was made."""
        self._calls.note(future)

    def failure_of(self, handle: int, error: TerminalError) -> TerminalError:
        """What a failed call is to its caller: the deadline, if that is what cancelled it (R20).

        What the other side could not undo stays as it is, so that nobody misses it (R10).
        """
        if self._calls.is_late(handle) and not is_rollback_incomplete(error.metadata):
            return self._interruption() or error
        return error

    def shielded_call(
        self, send: Callable[[str], SendHandle], serde: Serde[T], key: str | None
    ) -> ServerCallDurableFuture[T] | None:
        """In a rollback, make a call as send and attach; elsewhere give ``None`` (R8).

        Once the forward part is interrupted, it begins no call: nothing would cancel that any
        more, and the rollback would not wait for it (R5, R6).
        """
        shield = current_shield.get()
        if shield is None:
            self.check()
            return None
        return self._calls.shielded(shield, send, serde, key)
