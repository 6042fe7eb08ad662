"""The explorer: one saga, broken at each of its points in each way, on a real server."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, cast

import restate
from restate.handler import Handler

from resaga import SagaRequest
from resaga.server import RestateServer
from resaga.testing.app import SagaApp, SagaClient
from resaga.testing.cases import COLUMNS, Case, cases_of, untouched
from resaga.testing.errors import SagaTestError, UnknownStep
from resaga.testing.report import CaseResult, Report
from resaga.testing.rules import Finding, as_it_went, judge, judge_unended, struck
from resaga.testing.running import LIMIT, RunningSaga, SagaRun
from resaga.testing.server import quick_server
from resaga.testing.states import NOTHING, Check, States
from resaga.testing.watch import Meanwhile, Stuck, beside, until_the_end

__all__ = ["explore"]

Target: TypeAlias = restate.Service | restate.VirtualObject | restate.Workflow

CASE_HEADER = "x-resaga-case"
"""Tells a provider of services which case it builds them for."""

CASE_VARIABLE = "RESAGA_CASE"
"""The environment variable that runs one case alone."""


async def explore(
    workflow: Target,
    input: object = None,
    *,
    server: RestateServer | None = None,
    services: Callable[[], object] | None = None,
    invariant: Check | None = None,
    snapshot: Check | None = None,
    prepare: Check | None = None,
    meanwhile: Meanwhile | None = None,
    recovers: Sequence[Any] = (),
    columns: Sequence[str] | None = None,
    only: str | None = None,
    handler: str = "run",
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    limit: timedelta = LIMIT,
    side_by_side: int = 16,
    also: Sequence[restate.Service | restate.VirtualObject | restate.Workflow] = (),
) -> Report:
    """Break a saga at each of its points in each way, and judge each run.

    First it runs untouched, twice, to learn its points; then once for each point and each fault
    of `COLUMNS`. What a run is judged by stands in docs/guide/testing.md.

    Args:
        workflow: The saga; it has to complete with this input.
        input: Its input.
        server: The server to run it on, the fixture ``restate_server`` say. ``None``: one that is
            started for this.
        services: Builds the services of one run, so that each has a world of its own; it stands
            for the definition's own services.
        invariant: An ``async def`` that says whether all is well after a run: it returns
            ``False`` or raises an `AssertionError` if not. With a parameter it is given the
            run's services.
        snapshot: An ``async def`` that gives the state outside of the saga. It has to be the
            same before a run and after its rollback; and if services are built for each run,
            the same after each run that completes. With a parameter it is given the run's
            services; without one the cases run one after the other, as the state is shared.
        prepare: An ``async def`` that puts the world in order before each run: empties tables,
            fills a shelf. What is left after each run that completes is then compared, too. With
            a parameter it is given the run's services; without one the cases run one by one.
        meanwhile: An ``async def`` of the `RunningSaga`, which runs beside each case: somebody
            who approves what the saga waits for, say. It may end before the saga does, and is
            cancelled soon after that has ended.
        recovers: Steps, or their names, whose failure the saga copes with.
        columns: Which columns of the report are tried, ``["lost after", "cancel during"]``; by
            default all.
        only: The name of one case, ``"ChargePayment/lost after"``, to be run alone. The
            environment variable ``RESAGA_CASE`` says the same.
        handler: Which handler of a virtual object, by its name on the wire.
        key: The key of a virtual object; by default each case has one of its own, and a Restate
            workflow always has.
        headers: Further headers of the calls.
        limit: How long one case may take.
        side_by_side: How many cases run at a time.
        also: Other definitions to serve, which the saga calls.

    Returns:
        The report; `Report.raise_for_violations` fails the test.

    Raises:
        CaseTimeout: It did not end untouched; with where it stood.
        SagaTestError: It does not complete untouched, there is no such case, column or handler,
            or one of the functions given here raised, with the name of the case.
        UnknownStep: ``recovers`` names a step that it does not come to.

    Example::

        async def test_checkout_is_always_undone(restate_server):
            report = await explore(checkout, order, server=restate_server, services=Fakes)
            report.raise_for_violations()
    """
    began = time.monotonic()
    states = States(invariant, snapshot, services, prepare)
    call = _Call(
        workflow=workflow,
        handler=handler,
        input=input,
        key=key,
        headers=dict(headers or {}),
        limit=limit,
        meanwhile=meanwhile,
    )
    chosen = _checked(workflow, columns)
    async with _running(server) as started, SagaApp(started) as app, _quiet_sdk():
        served = workflow if services is None else _with_worlds(workflow, states)
        await app(served, *also)
        explorer = _Explorer(
            SagaClient(app), call, states, [getattr(step, "name", step) for step in recovers]
        )
        cases = await explorer.learn(chosen, only or os.environ.get(CASE_VARIABLE))
        results = await explorer.run_all(cases, 1 if states.shared else side_by_side)
    return Report(
        workflow=workflow.name,
        results=tuple(results),
        seconds=time.monotonic() - began,
        test=os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0] or None,
    )


@asynccontextmanager
async def _running(server: RestateServer | None) -> AsyncGenerator[RestateServer]:
    if server is not None:
        yield server
        return
    own = quick_server()
    await asyncio.to_thread(own.start)
    try:
        yield own
    finally:
        await asyncio.to_thread(own.stop)


@asynccontextmanager
async def _quiet_sdk() -> AsyncGenerator[None]:
    """Keep the SDK from logging each injected error with its traceback."""
    logger = logging.getLogger("restate")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _with_worlds(workflow: Any, states: States) -> Any:
    @asynccontextmanager
    async def provider(request: SagaRequest[Any]) -> AsyncGenerator[object]:
        yield states.world(request.headers[CASE_HEADER])

    return workflow.with_services(provider)


def _checked(workflow: Target, columns: Sequence[str] | None) -> frozenset[str]:
    unknown = [] if columns is None else [c for c in columns if c not in COLUMNS]
    if unknown:
        raise SagaTestError(
            f"explore({workflow.name}, columns=...): there is no column "
            f"{', '.join(map(repr, unknown))}. There are: {', '.join(COLUMNS)}."
        )
    return frozenset(COLUMNS if columns is None else columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """How each run of the saga is made."""

    workflow: Target
    handler: str
    input: object
    key: str | None
    headers: dict[str, str]
    limit: timedelta
    meanwhile: Meanwhile | None

    @property
    def name(self) -> str:
        """What messages call the saga."""
        name = self.workflow.name
        return name if self.handler == "run" else f"{name}/{self.handler}"

    async def start(self, client: SagaClient, case: Case) -> RunningSaga[object]:
        """Start it, with the faults of a case."""
        handlers: dict[str, Handler[Any, Any]] = cast("Any", self.workflow).handlers
        described = handlers.get(self.handler)
        if described is None:
            raise SagaTestError(
                f"{self.workflow.name} has no handler {self.handler!r}. There are: "
                f"{', '.join(handlers)}. Name one: explore(..., handler=...)."
            )
        return await client.start(
            described,
            self.input,
            key=self._key(),
            headers={**self.headers, CASE_HEADER: case.name},
            faults=case.faults,
            limit=self.limit,
        )

    def _key(self) -> str | None:
        if isinstance(self.workflow, restate.Service):
            return None
        if isinstance(self.workflow, restate.Workflow) or self.key is None:
            return os.urandom(8).hex()
        return self.key


class _Explorer:
    """Runs cases of one saga, and judges them."""

    def __init__(
        self, client: SagaClient, call: _Call, states: States, recovers: Sequence[str]
    ) -> None:
        self._client = client
        self._call = call
        self._states = states
        self._recovers = recovers
        self._after: object = NOTHING

    async def learn(self, columns: Collection[str], only: str | None) -> list[Case]:
        """Run it untouched, and give the cases that there are."""
        name = self._call.name
        run, _, after = await self._run(untouched(1))
        again, _, after_again = await self._run(untouched(2))
        for each in (run, again):
            if each.error is not None:
                raise SagaTestError(
                    f"{name} does not complete untouched: its caller gets "
                    f"[{each.error.status_code}] {each.error}. Explore it with an input that it "
                    f"completes with. Its trace:\n{each.trace}"
                )
        if not run.recording.points:
            raise SagaTestError(f"{name} has no steps, so there is nothing to break")
        steps = run.recording.steps
        if unknown := [step for step in self._recovers if step not in steps]:
            raise UnknownStep(
                f"explore({name}, recovers=...): the saga never came to {', '.join(unknown)}. "
                f"It came to: {', '.join(steps)}."
            )
        if self._states.fresh and after == after_again:
            self._after = after
        cases = cases_of(run.recording)
        chosen = [case for case in cases if (case.name == only if only else case.column in columns)]
        if not chosen:
            known = ", ".join(case.name for case in cases)
            what = f"no case {only!r}" if only else "no case in these columns"
            raise SagaTestError(f"{name} has {what}. There are: {known}")
        return chosen

    async def run_all(self, cases: Sequence[Case], side_by_side: int) -> list[CaseResult]:
        """Run cases, some at a time; the results in their order."""
        left = list(reversed(cases))
        results: dict[str, CaseResult] = {}

        async def run_some() -> None:
            while left:
                case = left.pop()
                try:
                    results[case.name] = await self._judge(case)
                except BaseException:
                    # The others finish what they are at: a request that is cut off may leave
                    # its socket open.
                    left.clear()
                    raise

        ended = await asyncio.gather(
            *(run_some() for _ in range(side_by_side)), return_exceptions=True
        )
        for error in ended:
            if error is not None:
                raise error
        return [results[case.name] for case in cases]

    async def _judge(self, case: Case) -> CaseResult:
        began = time.monotonic()
        try:
            run, before, after = await self._run(case)
        except Stuck as stuck:
            recording = stuck.recording
            return CaseResult(
                case=case, verdict="wrong", findings=tuple(judge_unended(stuck.why, recording)),
                end=stuck.end, trace=str(recording.trace), seconds=time.monotonic() - began,
            )  # fmt: skip
        findings: list[Finding] = []
        case = as_it_went(case, run)
        if struck(case, run.recording):
            findings = judge(case, run, recovers=self._recovers)
            # A saga that copes with a failure goes another way, and leaves something else.
            completed = NOTHING if case.end == "fails" else self._after
            findings += self._states.compare(run, before, after, completed)
            findings += await self._states.check(case)
        end = "completed" if run.error is None else f"failed: [{run.error.status_code}] {run.error}"
        return CaseResult(
            case=case,
            verdict=(
                "wrong" if findings
                else "right" if struck(case, run.recording)
                else "not applicable"
            ),
            findings=tuple(findings),
            end=end,
            trace=str(run.trace),
            seconds=time.monotonic() - began,
        )  # fmt: skip

    async def _run(self, case: Case) -> tuple[SagaRun[object], object, object]:
        await self._states.prepare(case)
        before = await self._states.take(case)
        running = await self._call.start(self._client, case)
        async with beside(self._call.meanwhile, running, case):
            run = await until_the_end(running, case)
        return run, before, await self._states.take(case)
