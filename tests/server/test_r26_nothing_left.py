"""R26: a saga leaves nothing behind in the worker once its actions have ended, whatever its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import CodeType, MappingProxyType
from typing import Any, cast

import pytest
from restate import TerminalError
from restate.server_context import ServerInvocationContext

from resaga import MisuseError, Saga, SagaRequest, saga_workflow
from resaga.action import Running
from resaga.attempt import Attempt
from resaga.journal import Journal
from tests.support import Invocation, Rig, until

OF_AN_ATTEMPT: tuple[type, ...] = (Attempt, Saga, ServerInvocationContext)

SLEEP = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_log_keeps_tracebacks() -> Iterator[None]:
    """What pytest captures of the SDK's log would hold the attempts that failed."""
    logger = logging.getLogger("restate")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


def left(endings: Mapping[str, str]) -> list[str]:
    """What is there of sagas in this process: objects, actions that run, tasks of theirs."""
    gc.collect()
    found: list[str] = []
    for each in cast("list[object]", gc.get_objects()):
        if isinstance(each, Journal):
            found.append(f"a Journal of {endings.get(each.saga_id, each.saga_id)}")
        elif isinstance(each, OF_AN_ATTEMPT):
            found.append(type(each).__name__)
        elif isinstance(each, Running) and (len(each) or each.waiting):
            found.append(f"{len(each)} run, {each.waiting} wait")
    return found + [file for file in _tasks() if "/resaga/" in file or "/restate/" in file]


def _tasks() -> list[str]:
    return [_file_of(task.get_coro()) for task in asyncio.all_tasks()]


def _file_of(coroutine: object) -> str:
    code = getattr(coroutine, "cr_code", None)
    return code.co_filename if isinstance(code, CodeType) else ""


async def until_nothing_is_left(endings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Wait for that; if something stays, say what."""
    last: list[str] = []

    def none() -> bool:
        last[:] = left(endings)
        return not last

    try:
        await until(none, "nothing is left", every=0.2)
    except AssertionError:
        raise AssertionError(f"still there: {Counter(last)}") from None


class Scopes:
    """A provider that counts the scopes that are open."""

    def __init__(self) -> None:
        self.opened = 0
        self.open = 0

    @asynccontextmanager
    async def __call__(self, request: SagaRequest[Any]) -> AsyncGenerator[None]:
        self.opened += 1
        self.open += 1
        try:
            yield None
        finally:
            self.open -= 1


ENDINGS = [
    "succeeds",
    "fails",
    "rolls back incompletely",
    "is retried",
    "is retried in the rollback",
    "runs in branches",
    "is misused",
    "is mapped",
    "is cancelled in an action",
    "is killed in an action",
    "is cancelled in a thread",
    "is killed in a thread",
    "is cancelled at a sleep",
    "is killed at a sleep",
]
HELD = ("action", "thread")
SUCCESSES = {"succeeds", "is retried", "runs in branches", "is misused"}


async def test_r26_nothing_is_left_whatever_the_end(rig: Rig) -> None:
    """Three sagas of each ending, side by side."""
    scopes = Scopes()
    gate = rig.gate()
    a, b = rig.steps("A", "B")
    t, d = rig.step("T", threaded=True), rig.step("D", durable=True)
    held = {place: rig.step("H", gate=gate, threaded=place == "thread") for place in HELD}
    flaky = rig.step("F", fails=lambda n: ValueError("a hiccup") if n % 3 else None)
    stuck = rig.step("S", undo_fails=lambda n: TerminalError("stuck"))
    slow = rig.step("R", undo_fails=lambda n: ValueError("a hiccup") if n % 3 else None)
    misused: list[str] = []

    @saga_workflow(rig.name("Left"), services_from=scopes, as_terminal_error=_terminal)
    async def workflow(saga: Saga[None], ending: str) -> None:
        for step in (a, t, d):
            await step(saga, 1)
        match ending:
            case "succeeds":
                pass
            case "fails":
                raise TerminalError("no", 409)
            case "rolls back incompletely":
                await stuck(saga, 1)
                raise ValueError from TerminalError("no", 409)
            case "is retried in the rollback":
                await slow(saga, 1)
                raise TerminalError("no", 409)
            case "is retried":
                await flaky(saga, 1)
            case "runs in branches":
                await saga.gather(b(saga, 1), flaky(saga, 2), a(saga, 3))
            case "is misused":
                if saga.id not in misused:
                    misused.append(saga.id)
                    await asyncio.gather(b(saga, 1), a(saga, 1))
                await b(saga, 1)
            case "is mapped":
                raise Late
            case _ if ending.endswith("sleep"):
                await saga.ctx.sleep(SLEEP)
            case _:
                await held[ending.rpartition(" ")[2]](saga, 1)

    await rig.serve(workflow)
    sagas = {await rig.send(workflow, ending): ending for ending in ENDINGS * 3}
    await until(lambda: gate.held == 12, "all that are to be held are held")
    for saga, ending in sagas.items():
        if ending.endswith("sleep"):
            await _until_asleep(saga)
    for saga, ending in sagas.items():
        if "cancelled" in ending:
            await saga.cancel()
        elif "killed" in ending:
            await saga.kill()
    gate.open()
    for saga, ending in sagas.items():
        end = await saga.attach()
        assert (end.error is None) == (ending in SUCCESSES), ending
    await until_nothing_is_left({saga.id: ending for saga, ending in sagas.items()})
    assert scopes.opened >= len(sagas)
    assert scopes.open == 0


class Late(Exception):
    """Mapped to a terminal error by the workflow's own mapper."""


def _terminal(error: Exception) -> TerminalError | None:
    return TerminalError("late", 408) if isinstance(error, Late) else None


async def _until_asleep(invocation: Invocation) -> None:
    async def asleep() -> bool:
        return any(entry.type == "Sleep" for entry in await invocation.journal())

    await until(asleep, "it sleeps")


async def test_r26_a_thread_that_outlives_its_attempt_is_forgotten_when_it_ends(rig: Rig) -> None:
    gate = rig.gate()
    step = rig.step("T", threaded=True, gate=gate)

    @saga_workflow(rig.name("Outlives"))
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await invocation.kill()
    await invocation.error()
    await until(lambda: rig.traffic.open[workflow.name] == 0, "the attempt is over")
    assert gate.held == 1, "nobody can stop a thread"
    assert any("1 run" in each for each in left({}))
    gate.open()
    await until_nothing_is_left()


async def test_r26_a_refused_definition_and_no_thread_of_resagas_own_stay(rig: Rig) -> None:
    @saga_workflow(rig.name("Threads"))
    async def workflow(saga: Saga) -> None:
        """Does nothing."""

    await rig.serve(workflow)
    await rig.call(workflow)
    with pytest.raises(MisuseError):
        workflow.explicit_recovery = True
    assert [t.name for t in threading.enumerate() if "resaga" in t.name.lower()] == []
