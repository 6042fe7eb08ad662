"""The world around the runs of an exploration: services, snapshots and invariants."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from resaga.testing.cases import Case
from resaga.testing.errors import SagaTestError
from resaga.testing.rules import Finding
from resaga.testing.running import SagaRun

__all__ = ["NOTHING", "Check", "States", "raised"]

Check: TypeAlias = Callable[..., Awaitable[object]]
"""An ``async def`` of nothing, or of the run's services."""

NOTHING = object()
"""No snapshot was taken."""


class States:
    """What the world is like before and after each case.

    Attributes:
        shared: Whether the cases look at one world, so that they have to run one by one.
        fresh: Whether each case finds the world as every other does, so that what is left after
            those that complete can be compared.
    """

    def __init__(
        self,
        invariant: Check | None,
        snapshot: Check | None,
        services: Callable[[], object] | None,
        prepare: Check | None = None,
    ) -> None:
        self._invariant = invariant
        self._snapshot = snapshot
        self._prepare = prepare
        self._services = services
        self._worlds: dict[str, object] = {}
        checks = [check for check in (invariant, snapshot, prepare) if check is not None]
        self.shared: bool = any(not self._takes_world(check) for check in checks)
        self.fresh: bool = prepare is not None or not self.shared

    def world(self, case: str) -> object:
        """The services of a case, the same on each of its attempts."""
        if case not in self._worlds:
            assert self._services is not None
            self._worlds[case] = self._services()
        return self._worlds[case]

    async def prepare(self, case: Case) -> None:
        """Put the world in order for a case."""
        if self._prepare is not None:
            await self._ask(self._prepare, case)

    async def take(self, case: Case) -> object:
        """The state now."""
        return NOTHING if self._snapshot is None else await self._ask(self._snapshot, case)

    async def check(self, case: Case) -> list[Finding]:
        """Whether the invariant holds."""
        if self._invariant is None:
            return []
        try:
            well = await self._ask(self._invariant, case, may=AssertionError)
        except AssertionError as exc:
            return [Finding(rule="invariant", message=str(exc) or "it does not hold")]
        return [Finding(rule="invariant", message="it does not hold")] if well is False else []

    def compare(
        self, run: SagaRun[object], before: object, after: object, completed: object
    ) -> list[Finding]:
        """What a run has left behind.

        Args:
            run: The run.
            before: The state before it.
            after: The state after it.
            completed: The state after an untouched run, if every run begins with the same.
        """
        if before is NOTHING:
            return []
        if run.error is None:
            if completed is NOTHING or after == completed:
                return []
            message = f"it completed and left {after!r}, and untouched it leaves {completed!r}"
            return [Finding(rule="snapshot", message=message)]
        pivoted = any(event.subject == "pivot" for event in run.trace.events)
        if run.rollback_incomplete or pivoted or before == after:
            return []
        message = f"before it the state was {before!r}, and after its rollback it is {after!r}"
        return [Finding(rule="snapshot", message=message)]

    def _takes_world(self, check: Check) -> bool:
        if not inspect.signature(check).parameters:
            return False
        if self._services is None:
            raise SagaTestError(
                f"{check!r} has a parameter: it is given the services of a run, and explore() has "
                "no services=... to build them with. Give it that, or take the parameter away."
            )
        return True

    async def _ask(
        self, check: Check, case: Case, *, may: type[Exception] | tuple[()] = ()
    ) -> object:
        arguments: tuple[Any, ...] = (self.world(case.name),) if self._takes_world(check) else ()
        try:
            return await check(*arguments)
        except may:
            raise
        except Exception as exc:
            raise raised(check, case, exc) from exc


def raised(check: Callable[..., object], case: Case, exc: Exception) -> SagaTestError:
    """What says that a function of the test's has raised, which, and in which case."""
    name = getattr(check, "__name__", repr(check))
    return SagaTestError(f"{name}() raised {type(exc).__name__} in case {case.name!r}: {exc}")
