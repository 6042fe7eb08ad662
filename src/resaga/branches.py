"""The scheduler of branches: side by side, and in the same order on every replay (R17).

Each branch is an asyncio task that hands what it waits for to one scheduler per attempt. One
branch runs at a time, until it waits, is done, or waits for branches of its own; when none can
run, the scheduler waits for all that they wait for at once, resumes the first one whose wish is
there, and repeats. What resumes whom so depends on the journal's notifications alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Awaitable, Coroutine, Generator, Iterable, Sequence
from types import CodeType
from typing import Any, TypeVar, cast

from restate import server_context
from restate.vm import UnresolvedFuture

from resaga import journal as journal_module
from resaga import seam as seam_module
from resaga.classify import ErrorMapper, internal_of, terminal_of
from resaga.errors import BranchAbandoned, Interruption, MisuseError
from resaga.handles import all_of, any_of
from resaga.journal import Journal
from resaga.scope import current_waiter

__all__ = ["Branch", "Scheduler", "close"]

T = TypeVar("T")

_DURABLE_CODE = frozenset(
    str(module.__file__) for module in (server_context, journal_module, seam_module)
)
"""Files whose tasks a branch may await: they end in a wait that the scheduler sees."""


class _Wakeup(asyncio.Future[T]):
    """A future by which the scheduler resumes a branch; nothing else is awaited in one."""


class _Group:
    """The branches of one gather."""

    def __init__(self, parent: Branch | None, *, abandons: bool) -> None:
        self.parent = parent
        self.abandons = abandons
        self.branches: list[Branch] = []
        self.first_error: BaseException | None = None
        self.joined: _Wakeup[None] | None = None

    @property
    def failed(self) -> bool:
        """Whether one of its branches has failed."""
        return self.first_error is not None

    @property
    def done(self) -> bool:
        """Whether all its branches have ended."""
        return all(branch.done for branch in self.branches)


class Branch:
    """One arm of a gather: the `Waiter` of what runs in it.

    Attributes:
        prefix: The path of its steps, ``"3.1."``.
        line: What the saga keeps for it: the numbers of its steps, its frame.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        group: _Group,
        order: int,
        prefix: str,
        line: object,
        where: str,
    ) -> None:
        self.order = order
        self.prefix = prefix
        self.line = line
        self.where = where
        self.group = group
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.draining = False
        self.wanted: UnresolvedFuture | None = None
        self.shielded = False
        self.wakeup: _Wakeup[bool] | None = None
        self._scheduler = scheduler

    def abandoned(self) -> Interruption | None:
        """What ends it early: a branch beside it, or beside one it stands in, has failed."""
        branch: Branch | None = self
        while branch is not None:
            if branch.group.failed and branch.group.abandons:
                return BranchAbandoned("a branch beside this one failed")
            branch = branch.group.parent
        return None

    async def progress(self, wanted: UnresolvedFuture, *, shielded: bool) -> bool:
        """Hand what is waited for to the scheduler, until it resumes this branch."""
        return await self._scheduler.wait(self, wanted, shielded=shielded)


class Scheduler:
    """The branches of one attempt."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ready: deque[tuple[Branch, bool]] = deque()
        self._blocked: list[Branch] = []
        self._quiet: asyncio.Future[None] | None = None
        self._ending: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._made = 0

    async def run(
        self,
        arms: Sequence[tuple[str, object, Awaitable[Any]]],
        *,
        where: str,
        mappers: Sequence[ErrorMapper | None] = (),
        abandons: bool = True,
    ) -> list[Any]:
        """Run arms side by side; the values in the order of the arms.

        Args:
            arms: For each its prefix, its line, and what runs in it.
            where: The saga, for messages.
            mappers: Which ordinary errors of theirs are for good (R3).
            abandons: Whether the others end early when one fails (R17); for a rollback's
                branches they do not.

        Raises:
            BaseException: The first error for good, when all have ended; an ordinary error
                before that, as it fails the attempt.
        """
        waiter = current_waiter.get()
        parent = waiter if isinstance(waiter, Branch) else None
        group = _Group(parent, abandons=abandons)
        for prefix, line, arm in arms:
            self._made += 1
            branch = Branch(self, group, self._made, prefix, line, where)
            context = contextvars.copy_context()
            context.run(current_waiter.set, branch)
            branch.wakeup = _Wakeup()
            task = asyncio.create_task(self._run(branch, arm), context=context)
            self._keep(task)
            # Also when the attempt ends before the task has begun.
            task.add_done_callback(functools.partial(_close_arm, arm))
            group.branches.append(branch)
            self._ready.append((branch, True))
        if not group.done:
            if parent is None:
                await self._pump(group)
            else:
                await self._join(group)
        return self._outcome(group, mappers)

    async def wait(self, branch: Branch, wanted: UnresolvedFuture, *, shielded: bool) -> bool:
        """Wait on a branch's behalf."""
        if self._ending is not None:
            raise asyncio.CancelledError
        if branch.wakeup is not None:
            raise MisuseError(
                f"{branch.where}: a branch of saga.gather waits for two things in its own tasks. "
                "They would not replay in the same order. Give each its own branch of saga.gather."
            )
        task = asyncio.current_task()
        assert task is not None
        self._keep(task)
        branch.wanted, branch.shielded, branch.wakeup = wanted, shielded, _Wakeup()
        self._blocked.append(branch)
        self._blocked.sort(key=lambda blocked: blocked.order)
        self._fall_quiet()
        try:
            return await branch.wakeup
        finally:
            branch.wanted = branch.wakeup = None
            if branch in self._blocked:
                self._blocked.remove(branch)

    # -- inside ----------------------------------------------------------------------------

    def _keep(self, task: asyncio.Task[Any]) -> None:
        if task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _outcome(self, group: _Group, mappers: Sequence[ErrorMapper | None]) -> list[Any]:
        for branch in group.branches:
            error = branch.error
            if error is not None and terminal_of(error, *mappers) is None:
                raise error
        if group.first_error is not None:
            raise group.first_error
        return [branch.result for branch in group.branches]

    async def _run(self, branch: Branch, arm: Awaitable[Any]) -> None:
        try:
            assert branch.wakeup is not None
            await branch.wakeup
            branch.wakeup = None
            branch.result = await _Watched(branch, arm)
        except BaseException as exc:
            branch.error = exc
            if isinstance(exc, asyncio.CancelledError) and self._ending is not None:
                raise
        finally:
            branch.wakeup = None
        self._ended(branch)

    def _ended(self, branch: Branch) -> None:
        branch.done = True
        group = branch.group
        if branch.error is not None:
            internal = internal_of(branch.error)
            if internal is not None:
                self._ending = self._ending or internal
            elif not group.failed:
                group.first_error = branch.error
        if group.done and group.joined is not None:
            group.joined.set_result(None)
            return  # Its parent goes on, in the same turn.
        self._fall_quiet()

    async def _join(self, group: _Group) -> None:
        """Wait in a branch for branches of its own."""
        group.joined = _Wakeup()
        self._fall_quiet()
        await group.joined

    def _fall_quiet(self) -> None:
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    async def _pump(self, group: _Group) -> None:
        try:
            while True:
                while self._ready:
                    branch, arrived = self._ready.popleft()
                    await self._turn(branch, arrived=arrived)
                    if self._ending is not None:
                        raise self._ending
                if group.done:
                    return
                if abandoned := self._abandoned():
                    await self._tell(abandoned)
                else:
                    await self._wait_for_all()
        except BaseException as exc:
            self._ending = exc
            raise
        finally:
            if self._ending is not None or self._blocked:
                await self._close()

    async def _turn(self, branch: Branch, *, arrived: bool) -> None:
        """Let one branch run until it waits, is done, or waits for branches of its own."""
        wakeup = branch.wakeup
        if wakeup is None or wakeup.done():
            return
        self._quiet = asyncio.get_running_loop().create_future()
        wakeup.set_result(arrived)
        await self._quiet

    async def _wait_for_all(self) -> None:
        blocked = list(self._blocked)
        assert blocked, "a gather is not done, and none of its branches waits"
        wanted = [branch.wanted for branch in blocked if branch.wanted is not None]
        forward = not all(branch.shielded for branch in blocked)
        if not await self._journal.progress(any_of(wanted), forward=forward):
            await self._tell(blocked)  # A cancel, or the deadline: all learn of it.
            return
        for branch in blocked:
            if branch.wanted is not None and self._journal.ctx.is_there(branch.wanted):
                self._blocked.remove(branch)
                self._ready.append((branch, True))
                return

    def _abandoned(self) -> list[Branch]:
        """What waits beside a branch that has failed: its wait is to raise (R17)."""
        return [b for b in self._blocked if not b.shielded and b.abandoned() is not None]

    async def _tell(self, branches: list[Branch]) -> None:
        """Resume branches that are to end early, one after the other.

        But not before the actions that they have in flight have their results in the journal.
        Else one branch would wait for its action and another begin to roll back a savepoint; and
        in the next attempt, in which that action has not begun and is not waited for, the first
        would roll back before the other, and come no further than to its first compensation.
        """
        while runs := self._runs_under_way(branches):
            await self._journal.end_of_actions(runs)
            if await self._journal.progress(all_of(runs), forward=True):
                break
            branches = list(self._blocked)  # By now all are to end early.
        for branch in branches:
            self._blocked.remove(branch)
            self._ready.append((branch, False))

    def _runs_under_way(self, branches: Iterable[Branch]) -> list[int]:
        return [
            handle
            for branch in branches
            if branch.wanted is not None and not branch.shielded
            for handle in self._journal.runs_under_way(branch.wanted)
        ]

    async def _close(self) -> None:
        """End what is left when the attempt ends (R26)."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def close(arms: Iterable[Awaitable[Any]]) -> None:
    """Close coroutines that nobody will await."""
    for arm in arms:
        if isinstance(arm, Coroutine):
            arm.close()


def _close_arm(arm: Awaitable[Any], _: asyncio.Task[None]) -> None:
    close([arm])


class _Watched(Awaitable[Any]):
    """Awaits an arm, and refuses what the scheduler would not see it wait for (R21)."""

    def __init__(self, branch: Branch, arm: Awaitable[Any]) -> None:
        self._branch = branch
        self._arm = arm

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._arm.__await__()
        step: Any = inner.__next__
        arguments: tuple[object, ...] = ()
        while True:
            try:
                awaited = step(*arguments)
            except StopIteration as stop:
                return stop.value
            if not self._is_durable(awaited):
                awaited._asyncio_future_blocking = False  # noqa: SLF001
                step, arguments = cast("Any", inner).throw, (self._refusal(awaited),)
                continue
            try:
                sent = yield awaited
            except BaseException as exc:
                step, arguments = cast("Any", inner).throw, (exc,)
            else:
                step, arguments = cast("Any", inner).send, (sent,)

    def _is_durable(self, awaited: asyncio.Future[Any] | None) -> bool:
        if awaited is None or isinstance(awaited, _Wakeup) or self._branch.draining:
            return True
        if isinstance(awaited, asyncio.Task):
            code = getattr(_coroutine_of(awaited), "cr_code", None)
            return isinstance(code, CodeType) and code.co_filename in _DURABLE_CODE
        return False

    def _refusal(self, awaited: object) -> MisuseError:
        return MisuseError(
            f"{self._branch.where}: a branch of saga.gather awaits {type(awaited).__name__}, which "
            "is not durable: the other branches would wait for it, and a replay would not. Put "
            "I/O into a step, waits into saga.ctx.sleep, and what runs side by side into another "
            "saga.gather."
        )


def _coroutine_of(task: asyncio.Task[Any]) -> object:
    return task.get_coro()
