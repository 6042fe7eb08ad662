"""Running the user's own code inside an action: plain functions in threads, exits made ordinary.

`Running` knows which actions of which saga still run in this process, whichever attempt began
them: no compensation starts while one does (R6).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable
from types import FunctionType, MethodType
from typing import TypeVar, cast

from restate.exceptions import SdkInternalBaseException

from resaga.contexts import AnyContext, leave
from resaga.errors import ActionExit, MisuseError

__all__ = [
    "Running",
    "call",
    "forbid_in_action",
    "inside_action",
    "ordinary_exit",
    "own_context",
    "is_generator",
    "runs_in_thread",
    "what_runs",
]

T = TypeVar("T")

what_runs: contextvars.ContextVar[tuple[str, AnyContext | None] | None] = contextvars.ContextVar(
    "resaga_inside_action", default=None
)
"""What runs here, and the context that it was given."""

_LETS_PASS = (KeyboardInterrupt, GeneratorExit)
"""These end the process or close the coroutine; they are nobody's way to fail a step."""


class Running:
    """The actions that run in this process, by saga. One is owned by each definition (R26).

    Within a saga they are told apart by the path of the line of execution that began them: ``""``
    stands for all of it, and ``"3.1."`` for one branch and those inside it.
    """

    def __init__(self) -> None:
        self._prefixes: dict[str, list[str]] = {}
        self._waiting: dict[str, list[tuple[str, asyncio.Event]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._prefixes.values()))

    @property
    def waiting(self) -> int:
        """How many attempts wait for actions to end."""
        return sum(map(len, self._waiting.values()))

    def begin(self, saga_id: str, prefix: str = "") -> Callable[[], None]:
        """Note that an action begins; the caller calls what it gets, once, when it has ended."""
        self._prefixes.setdefault(saga_id, []).append(prefix)

        def ended() -> None:
            running = self._prefixes[saga_id]
            running.remove(prefix)
            if not running:
                del self._prefixes[saga_id]
            for waited, event in self._waiting.get(saga_id, ()):
                if not self.busy(saga_id, waited):
                    event.set()

        return ended

    def busy(self, saga_id: str, prefix: str = "") -> bool:
        """Whether an action of this saga, or of one line of it, still runs here."""
        return any(each.startswith(prefix) for each in self._prefixes.get(saga_id, ()))

    def idle(self, saga_id: str, prefix: str = "") -> asyncio.Event:
        """An event that is set as soon as none of them runs here any more; `forget` it after."""
        event = asyncio.Event()
        self._waiting.setdefault(saga_id, []).append((prefix, event))
        if not self.busy(saga_id, prefix):
            event.set()
        return event

    def forget(self, saga_id: str, event: asyncio.Event) -> None:
        """Stop waiting for what `idle` gave."""
        left = [each for each in self._waiting.get(saga_id, ()) if each[1] is not event]
        if left:
            self._waiting[saga_id] = left
        else:
            self._waiting.pop(saga_id, None)


def inside_action() -> str | None:
    """What runs here, if this is the inside of an action or a plain compensation."""
    inside = what_runs.get()
    return None if inside is None else inside[0]


def own_context() -> AnyContext | None:
    """The context that was given to what runs here, if it is a step's action or compensation."""
    inside = what_runs.get()
    return None if inside is None else inside[1]


def forbid_in_action(what: str) -> None:
    """Refuse what cannot be replayed from inside an action (R14)."""
    inside = what_runs.get()
    if inside is not None:
        where, _ = inside
        raise MisuseError(
            f"{what} was used inside {where}. What runs there is journaled as one result and does "
            "not run again on replay, so it must not use Restate. Do this in the workflow's "
            "body, or make the step durable (durable=True) and use step.ctx."
        )


async def call(
    fn: Callable[..., Awaitable[T] | T],
    *args: object,
    where: str,
    threaded: bool,
    begin: Callable[[], Callable[[], None]],
    given: AnyContext | None = None,
) -> T:
    """Call the user's function: an ``async def`` here, a plain ``def`` in a thread.

    A plain function that returns an awaitable has it awaited here. While it runs, `inside_action`
    answers ``where``, and `own_context` what it was given.

    Args:
        fn: The user's function.
        *args: Its arguments.
        where: What it is, for messages: ``"step 'Charge' of saga inv_1..."``.
        threaded: Whether it is a plain function, see `runs_in_thread`.
        begin: `Running.begin` for this saga; a thread is noted there until it has ended, however
            early its attempt does.
        given: The context among its arguments, which is left as soon as the function has ended:
            in a thread, when that has.

    Raises:
        ActionExit: The code raised a `BaseException` that is not the attempt's own end.
    """
    token = what_runs.set((where, given))
    try:
        if threaded:
            result = await _in_thread(fn, args, begin, given)
            if not inspect.isawaitable(result):
                return result
        else:
            result = cast("Awaitable[T]", fn(*args))
        try:
            return await result
        finally:
            _leave(given)
    except Exception:
        raise
    except BaseException as exc:
        exit_ = ordinary_exit(exc, where=where)
        if exit_ is None:
            raise
        raise exit_ from exc
    finally:
        what_runs.reset(token)


async def _in_thread(
    fn: Callable[..., Awaitable[T] | T],
    args: tuple[object, ...],
    begin: Callable[[], Callable[[], None]],
    given: AnyContext | None,
) -> Awaitable[T] | T:
    """Run a plain function in the loop's default executor.

    A thread cannot be stopped: when the attempt ends before it, it goes on, and is noted as
    running until it is done. One that has not begun by then never begins.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    lock = threading.Lock()
    begun = abandoned = False

    def work() -> tuple[Awaitable[T] | T, None] | tuple[None, BaseException]:
        # Outcomes travel as values: a future refuses StopIteration, and an executor lets
        # SystemExit escape into the event loop.
        nonlocal begun
        with lock:
            if abandoned:
                return None, asyncio.CancelledError()
            begun = True
        goes_on = False
        try:
            result = context.run(fn, *args)
            goes_on = inspect.isawaitable(result)
            return result, None
        except StopIteration as exc:
            return None, ActionExit(_exit_message(inside_action() or "an action", exc))
        except BaseException as exc:
            return None, exc
        finally:
            if not goes_on:
                _leave(given)
            # The loop may be closed by now; then what it tracked is gone with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended)

    ended = begin()
    try:
        result, error = await loop.run_in_executor(None, work)
    except asyncio.CancelledError:
        with lock:
            abandoned = not begun
        if abandoned:
            ended()
        raise
    if error is not None:
        raise error
    return cast("Awaitable[T] | T", result)


def _leave(given: AnyContext | None) -> None:
    if given is not None:
        leave(given)


def ordinary_exit(exc: BaseException, *, where: str) -> ActionExit | None:
    """The ordinary error that stands for an exit of the user's own making, if ``exc`` is one (R4).

    That is a ``CancelledError`` that does not come from cancelling this task, after which the SDK
    would leave the invocation hanging, and ``SystemExit`` or another `BaseException`, which would
    take the worker down.
    """
    if isinstance(exc, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return None
    elif isinstance(exc, (Exception, *_LETS_PASS, SdkInternalBaseException)):
        return None
    return ActionExit(_exit_message(where, exc))


def _exit_message(where: str, exc: BaseException) -> str:
    return (
        f"{where} raised {type(exc).__name__}, by which nothing can be told about its effect; "
        "Restate tries again. Raise an Exception instead, a TerminalError to end the saga."
    )


def runs_in_thread(fn: object) -> bool:
    """Whether ``fn`` is a plain function, which could block the event loop."""
    while isinstance(fn, functools.partial):
        fn = cast("functools.partial[object]", fn).func
    if isinstance(fn, MethodType):
        fn = fn.__func__
    if isinstance(fn, FunctionType) and fn.__code__.co_flags & inspect.CO_COROUTINE:
        return False  # Most are, and this is asked for each action.
    return not inspect.iscoroutinefunction(_called(fn))


def is_generator(fn: object) -> bool:
    """Whether calling ``fn`` would give a generator, which no step can be (R21)."""
    called: object = fn
    if not isinstance(fn, functools.partial):
        called = _called(fn)
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


def _called(fn: object) -> object:
    """What runs when ``fn`` is called: of an object with ``__call__``, that."""
    return fn if inspect.isroutine(fn) else vars(type(fn)).get("__call__", fn)
