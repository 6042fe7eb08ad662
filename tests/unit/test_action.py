"""Running the user's code: threads, exits, where it is told that it is inside an action."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from restate import TerminalError
from restate.exceptions import RetryableError, SdkInternalException, SuspendedException
from restate.server_context import DisconnectedException

from resaga import ActionExit, MisuseError, StepContext
from resaga.action import (
    Running,
    call,
    forbid_in_action,
    inside_action,
    is_generator,
    ordinary_exit,
    own_context,
    runs_in_thread,
)

WHERE = "step 'Charge' of saga Checkout (inv_1)"
SECRET = "s3cr3t"


class Custom(BaseException):
    """An exit of the user's own making."""


def nothing_running() -> Callable[[], None]:
    """The `begin` of code that is not counted."""
    return lambda: None


async def act(
    fn: Callable[..., Any], *args: object, begin: Callable[[], Callable[[], None]] | None = None
) -> Any:
    """Call ``fn`` as an action."""
    return await call(
        fn,
        *args,
        where=WHERE,
        threaded=runs_in_thread(fn),
        begin=nothing_running if begin is None else begin,
    )


# -- which actions run ---------------------------------------------------------------------------


def test_r06_what_has_begun_runs_until_it_has_ended() -> None:
    running = Running()
    assert not running.busy("inv_1")
    first, second = running.begin("inv_1"), running.begin("inv_1")
    assert running.busy("inv_1")
    assert not running.busy("inv_2"), "another saga's"
    first()
    assert running.busy("inv_1")
    second()
    assert not running.busy("inv_1")


def test_r17_a_branch_is_busy_with_its_own_actions_and_those_inside_it() -> None:
    running = Running()
    ended = running.begin("inv_1", "3.1.2.1.")
    for prefix in ("", "3.1.", "3.1.2.1."):
        assert running.busy("inv_1", prefix)
    for prefix in ("3.2.", "3.1.2.2.", "3.1.2.1.1."):
        assert not running.busy("inv_1", prefix)
    ended()
    assert not running.busy("inv_1")


def test_r06_who_waits_is_told_when_the_last_one_has_ended() -> None:
    running = Running()
    ends = [running.begin("inv_1", "1.1."), running.begin("inv_1", "1.2.")]
    of_all, of_one = running.idle("inv_1"), running.idle("inv_1", "1.1.")
    assert running.waiting == 2
    ends[0]()
    assert (of_all.is_set(), of_one.is_set()) == (False, True)
    ends[1]()
    assert of_all.is_set()
    assert running.idle("inv_1").is_set(), "nothing runs, so there is nothing to wait for"


def test_r26_nothing_is_left_of_a_saga_once_all_have_ended() -> None:
    running = Running()
    ended = running.begin("inv_1")
    events = [running.idle("inv_1"), running.idle("inv_1")]
    assert (len(running), running.waiting) == (1, 2)
    ended()
    for event in events:
        running.forget("inv_1", event)
        running.forget("inv_1", event)
    assert (len(running), running.waiting) == (0, 0)
    assert all(not left for left in vars(running).values())


# -- calling -------------------------------------------------------------------------------------


async def test_an_async_function_runs_in_the_loop_and_a_plain_one_in_a_thread() -> None:
    async def in_loop(a: int, b: int) -> tuple[int, threading.Thread]:
        return a + b, threading.current_thread()

    def in_thread(a: int, b: int) -> tuple[int, threading.Thread]:
        return a + b, threading.current_thread()

    here = threading.current_thread()
    assert await act(in_loop, 1, 2) == (3, here)
    result, thread = await act(in_thread, 1, 2)
    assert result == 3
    assert thread is not here


async def test_an_awaitable_of_a_plain_function_is_awaited_in_the_loop() -> None:
    async def inner() -> threading.Thread:
        return threading.current_thread()

    def gives_awaitable() -> Awaitable[threading.Thread]:
        return inner()

    assert await act(gives_awaitable) is threading.current_thread()


@pytest.mark.parametrize("threaded", [False, True])
async def test_r14_it_is_told_that_it_is_inside_an_action(threaded: bool) -> None:
    seen: list[str | None] = []

    def look() -> None:
        seen.append(inside_action())

    async def look_here() -> None:
        look()
        await asyncio.create_task(_async(look))  # A task of its own is inside, too.

    await act(look if threaded else look_here)
    assert set(seen) == {WHERE}
    assert inside_action() is None, "and no longer afterwards"


async def _async(fn: Callable[[], None]) -> None:
    fn()


@pytest.mark.parametrize("error", [ValueError("x"), TerminalError("x"), SystemExit(3)])
async def test_r14_it_is_told_no_longer_whatever_was_raised(error: BaseException) -> None:
    async def fails() -> None:
        raise error

    with pytest.raises((ValueError, TerminalError, ActionExit)):
        await act(fails)
    assert inside_action() is None


def context() -> StepContext:
    return StepContext(name="Charge", saga_id="inv_1", idempotency_key="k", services=None)


async def calling(fn: Callable[..., Any], step: StepContext) -> Any:
    """Call ``fn`` as a step's action."""
    threaded = runs_in_thread(fn)
    return await call(fn, step, where=WHERE, threaded=threaded, begin=nothing_running, given=step)


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_context_is_over_when_its_function_has_ended(threaded: bool) -> None:
    step = context()
    seen: list[bool] = []

    def look(given: StepContext) -> None:
        assert given is step
        assert own_context() is step
        seen.append(given.over)

    async def look_here(given: StepContext) -> None:
        look(given)

    await calling(look if threaded else look_here, step)
    assert (seen, step.over) == ([False], True)
    assert own_context() is None


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), StopIteration()])
@pytest.mark.parametrize("threaded", [False, True])
async def test_a_context_is_over_whatever_was_raised(threaded: bool, error: BaseException) -> None:
    def fails(_step: StepContext) -> None:
        raise error

    async def fails_here(step: StepContext) -> None:
        fails(step)

    step = context()
    with pytest.raises((ValueError, ActionExit, RuntimeError)):
        await calling(fails if threaded else fails_here, step)
    assert step.over


async def test_a_context_is_not_over_while_what_a_plain_function_gave_is_awaited() -> None:
    step = context()

    async def inner() -> bool:
        return step.over

    def gives_awaitable(_step: StepContext) -> Awaitable[bool]:
        return inner()

    assert await calling(gives_awaitable, step) is False
    assert step.over


async def test_a_context_is_over_when_its_thread_is_not_when_its_attempt_is() -> None:
    """A thread that outlives its attempt is still the function that was given the context."""
    begun, go_on, left = threading.Event(), threading.Event(), threading.Event()
    step = context()
    seen: list[bool] = []

    def late(given: StepContext) -> None:
        begun.set()
        assert go_on.wait(60)
        seen.append(given.over)

    def running() -> Callable[[], None]:
        return left.set

    attempt = asyncio.ensure_future(
        call(late, step, where=WHERE, threaded=True, begin=running, given=step)
    )
    await asyncio.to_thread(begun.wait, 60)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert not step.over
    go_on.set()
    await asyncio.to_thread(left.wait, 60)
    assert (seen, step.over) == ([False], True)


def test_r14_outside_of_an_action_nothing_is_forbidden() -> None:
    forbid_in_action("saga.ctx")


async def test_r14_what_is_forbidden_inside_names_what_where_and_the_mend() -> None:
    async def uses_context() -> None:
        forbid_in_action("saga.ctx")

    with pytest.raises(MisuseError) as refused:
        await act(uses_context)
    told = str(refused.value)
    for part in ("saga.ctx was used inside", WHERE, "durable=True", "step.ctx"):
        assert part in told


# -- exits ---------------------------------------------------------------------------------------

EXITS: list[BaseException] = [
    SystemExit(3),
    Custom(SECRET),
    asyncio.CancelledError(),
    BaseExceptionGroup("both", [Custom(), ValueError(SECRET)]),
]


@pytest.mark.parametrize("error", EXITS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("threaded", [False, True])
async def test_r04_an_exit_is_an_ordinary_error(error: BaseException, threaded: bool) -> None:
    def exits() -> None:
        raise error

    async def exits_here() -> None:
        raise error

    with pytest.raises(ActionExit) as raised:
        await act(exits if threaded else exits_here)
    assert raised.value.__cause__ is error
    told = str(raised.value)
    assert WHERE in told
    assert type(error).__name__ in told
    assert SECRET not in told


@pytest.mark.parametrize("threaded", [False, True])
async def test_an_exception_goes_on_as_it_is(threaded: bool) -> None:
    for error in (ValueError("x"), TerminalError("x"), RetryableError("x"), StopAsyncIteration()):

        def fails(error: Exception = error) -> None:
            raise error

        async def fails_here(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as raised:
            await act(fails if threaded else fails_here)
        assert raised.value is error


async def test_r04_stop_iteration_of_a_thread_is_an_ordinary_error() -> None:
    """No future can carry it."""

    def stops() -> None:
        next(iter(()))

    with pytest.raises(ActionExit, match="StopIteration"):
        await act(stops)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        TerminalError("x"),
        DisconnectedException(),
        SuspendedException(),
        SdkInternalException(),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
)
async def test_r04_what_is_no_exit_of_the_users_is_left_alone(error: BaseException) -> None:
    assert ordinary_exit(error, where=WHERE) is None


async def test_r04_the_attempts_own_cancellation_is_left_alone() -> None:
    found: list[object] = []

    async def cancelled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            found.append(ordinary_exit(exc, where=WHERE))
            raise

    task = asyncio.create_task(act(cancelled))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert found == [None]


# -- threads that outlive their attempt ----------------------------------------------------------


async def test_r06_a_thread_is_running_until_it_has_ended_however_early_its_attempt_does() -> None:
    running = Running()
    entered, leave = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow() -> None:
        loop.call_soon_threadsafe(entered.set)
        assert leave.wait(30)

    task = asyncio.create_task(act(slow, begin=lambda: running.begin("inv_1")))
    await asyncio.wait_for(entered.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running.busy("inv_1"), "nobody can stop a thread"
    idle = running.idle("inv_1")
    assert not idle.is_set()
    leave.set()
    await asyncio.wait_for(idle.wait(), 30)
    assert not running.busy("inv_1")


async def test_r06_one_that_has_not_begun_when_its_attempt_ends_never_begins() -> None:
    running = Running()
    leave = threading.Event()
    ran: list[str] = []
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        occupied = loop.run_in_executor(None, leave.wait, 30)
        task = asyncio.create_task(
            act(lambda: ran.append("it"), begin=lambda: running.begin("inv_1"))
        )
        await asyncio.sleep(0)
        assert running.busy("inv_1"), "it might begin at any moment"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not running.busy("inv_1")
        leave.set()
        assert await occupied
    assert ran == []


# -- kinds of functions --------------------------------------------------------------------------


async def coroutine_function(x: int) -> int:
    return x


def plain_function(x: int) -> int:
    return x


def generator_function() -> Iterator[int]:
    yield 1


async def async_generator_function() -> AsyncIterator[int]:
    yield 1


class Async:
    async def __call__(self, x: int) -> int:
        return x

    async def method(self, x: int) -> int:
        return x


class Plain:
    def __call__(self, x: int) -> int:
        return x

    def method(self, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("fn", "threaded"),
    [
        (coroutine_function, False),
        (functools.partial(coroutine_function, 1), False),
        (functools.partial(functools.partial(coroutine_function), 1), False),
        (Async(), False),
        (Async().method, False),
        (functools.partial(Async().method, 1), False),
        (plain_function, True),
        (functools.partial(plain_function, 1), True),
        (Plain(), True),
        (Plain().method, True),
        (lambda: 1, True),
        (print, True),
        (Plain, True),
    ],
)
def test_a_plain_function_runs_in_a_thread(fn: object, threaded: bool) -> None:
    assert runs_in_thread(fn) is threaded


def test_r21_generators_are_known() -> None:
    for fn in (generator_function, async_generator_function, functools.partial(generator_function)):
        assert is_generator(fn)
    for other in (coroutine_function, plain_function, Async(), iter(())):
        assert not is_generator(other)
