"""Running a saga without a server, in milliseconds: for tests of what its body decides."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self, TypeVar, cast

import restate
from restate import TerminalError
from restate.handler import Handler as Described
from restate.handler import handler_from_callable
from restate.serde import DefaultSerde
from restate.server_context import DisconnectedException, ServerInvocationContext
from restate.server_types import ReceiveChannel
from restate.vm import Failure, Invocation

from resaga import SagaRequest, SagaStep
from resaga.intercept import Interceptor, Point
from resaga.testing.connection import Connection, current_connection
from resaga.testing.controls import Recording, Watcher
from resaga.testing.errors import CaseTimeout, SagaTestError, UnknownStep
from resaga.testing.faults import Fault
from resaga.testing.machine import MemoryVM
from resaga.testing.memory import MemoryJournal
from resaga.testing.running import LIMIT, SagaRun

__all__ = ["run_saga"]

T = TypeVar("T")

MANY_ATTEMPTS = 200
"""After so many attempts a saga will not end."""

_numbers = itertools.count(1)


async def run_saga(
    definition: restate.Service | restate.VirtualObject | restate.Workflow,
    input: object = None,
    *,
    handler: str = "run",
    stubs: Mapping[SagaStep[Any, Any, Any, Any] | str, object] | None = None,
    calls: Mapping[Any, object] | None = None,
    faults: Sequence[Fault] = (),
    services: object = None,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    state: Mapping[str, bytes] | None = None,
    replay: bool = False,
    limit: timedelta = LIMIT,
) -> SagaRun[Any]:
    """Run a saga in this process, without a server.

    It goes through the same driver as in production; only the SDK's state machine is stood in
    for, by a journal in memory. Time jumps: a sleep is over at once. What only the real server
    can tell stands in docs/guide/testing.md.

    Args:
        definition: A saga's definition.
        input: Its input.
        handler: Which of its handlers, of a virtual object say.
        stubs: What stands for the actions of steps, by step or name: a value that is returned,
            an exception that is raised, or a function of the input. The compensation of a step
            that is stood in for does nothing, and is noted.
        calls: What other handlers answer, likewise: by handler, definition, or
            ``"Service/handler"``.
        faults: What goes wrong in it, as for `SagaClient.run`.
        services: Stands for the definition's own services.
        key: The key of a virtual object or a Restate workflow.
        headers: The headers of the invocation.
        state: The state of a virtual object, as JSON.
        replay: Replay the journal at every await.
        limit: How long it may take.

    Returns:
        How it ended, and what happened in it.

    Raises:
        CaseTimeout: It did not end.
        SagaTestError: It needs what only a server has, or is not deterministic.
        UnknownStep: A fault names a step that the saga has not come to.

    Example::

        run = await run_saga(checkout, order, stubs={charge_payment: TerminalError("declined")})
        assert run.undone == ["ReserveInventory"]
    """
    journal = MemoryJournal(called=_answers(calls or {}), state=dict(state or {}))
    recording = Recording(faults, lambda _: journal.cancel())
    watcher = Watcher()
    acts = {
        step if isinstance(step, str) else step.name: act for step, act in (stubs or {}).items()
    }

    def intercept(request: SagaRequest[Any]) -> Interceptor:
        watcher.recordings[request.saga_id] = recording
        return _Stubbed(recording.begin_attempt(request.saga_id), acts)

    copy = _copy_of(definition, services).intercepted(intercept, observers=[watcher])
    described: Described[Any, Any] = copy.handlers[handler]
    takes_input = input is not None
    invocation = Invocation(
        invocation_id=f"inv_local_{next(_numbers)}",
        random_seed=0,
        headers=list((headers or {}).items()),
        input_buffer=described.handler_io.input_serde.serialize(input) if takes_input else b"",
        key=key or "",
    )
    await _bounded(
        limit,
        _attempts(described, invocation, journal, recording, limit=limit, replay=replay),
    )
    if unreached := recording.unreached():
        raise UnknownStep(
            f"{definition.name}: the saga never came to the place of these faults: "
            f"{', '.join(map(str, unreached))}. It came to: {', '.join(recording.steps)}."
        )
    failure = journal.failure
    return SagaRun(
        id=invocation.invocation_id,
        output=(
            None
            if failure is not None or not journal.output
            else described.handler_io.output_serde.deserialize(journal.output)
        ),
        error=(
            None
            if failure is None
            else TerminalError(failure.message, failure.code, failure.metadata)
        ),
        trace=recording.trace,
        recording=recording,
    )


def _copy_of(definition: Any, services: object) -> Any:
    if not hasattr(definition, "intercepted"):
        raise SagaTestError(f"{definition!r} is no saga: give run_saga a definition of resaga's.")
    return definition if services is None else definition.with_services(_Given(services))


class _Given:
    """A provider of services that are there, and its own scope."""

    def __init__(self, services: object) -> None:
        self._services = services

    def __call__(self, _: object) -> Self:
        """The scope of an attempt."""
        return self

    async def __aenter__(self) -> object:
        return self._services

    async def __aexit__(self, *_: object) -> None:
        return None


async def _bounded(limit: timedelta, attempts: Coroutine[Any, Any, None]) -> None:
    """Wait for the end; the SDK keeps a cancellation for itself, so no timeout would do."""
    task = asyncio.ensure_future(attempts)
    try:
        await asyncio.wait({task}, timeout=limit.total_seconds())
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
    task.result()


async def _attempts(
    handler: Described[Any, Any],
    invocation: Invocation,
    journal: MemoryJournal,
    recording: Recording,
    *,
    limit: timedelta,
    replay: bool,
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + limit.total_seconds()
    while True:
        await _attempt(handler, invocation, MemoryVM(journal, replay=replay))
        if journal.is_over():
            return
        name = handler.service_tag.name
        if loop.time() >= end:
            raise _never_ends(name, journal, recording, f"{limit.total_seconds():g} s")
        if recording.attempts >= MANY_ATTEMPTS:
            raise _never_ends(name, journal, recording, f"{MANY_ATTEMPTS} attempts")


async def _attempt(handler: Described[Any, Any], invocation: Invocation, vm: MemoryVM) -> None:
    """Make one attempt, as the SDK does when a request comes in."""
    told = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if told.is_set():
            await asyncio.Event().wait()
        told.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        return None

    connection = Connection(receive, send)
    channel = ReceiveChannel(cast("Any", connection.receive))
    context = ServerInvocationContext(
        vm=vm,
        handler=handler,
        invocation=invocation,
        attempt_headers={},
        send=send,
        receive=channel,
    )
    token = current_connection.set(connection)
    try:
        await context.enter()
    except SagaTestError:
        raise
    except DisconnectedException:
        pass
    except Exception as exc:
        # The context has told the state machine; the next attempt is made.
        for cause in _causes(exc):
            if isinstance(cause, SagaTestError):
                raise cause from None
    finally:
        current_connection.reset(token)
        running: list[asyncio.Future[Any]] = list(cast("Any", context.tasks).tasks)
        context.on_attempt_finished()
        await asyncio.gather(*running, return_exceptions=True)
        await channel.close()


def _causes(exc: BaseException | None) -> list[BaseException]:
    causes: list[BaseException] = []
    while exc is not None and exc not in causes:
        causes.append(exc)
        exc = exc.__cause__ or exc.__context__
    return causes


def _never_ends(name: str, journal: MemoryJournal, recording: Recording, limit: str) -> CaseTimeout:
    planned = f", with {', '.join(map(str, recording.faults))}" if recording.faults else ""
    failed = f" Its last attempt failed with: {journal.error}." if journal.error else ""
    return CaseTimeout(
        f"{name} did not end within {limit}{planned}.{failed} Its trace:\n{recording.trace}"
    )


class _Stubbed:
    """An interceptor before which stubs stand for what is behind it."""

    def __init__(self, controls: Interceptor, stubs: Mapping[str, object]) -> None:
        self._controls = controls
        self._stubs = stubs

    async def around(self, point: Point, proceed: Callable[[], Awaitable[T]]) -> T:
        """Run what stands for the user's code."""
        if point.name not in self._stubs or point.kind in ("step", "compensation"):
            return await self._controls.around(point, proceed)
        stub = self._stubs[point.name] if point.kind == "action" else None

        async def stand_in() -> Any:
            given = _given(stub, point.input)
            return await given if inspect.isawaitable(given) else given

        return cast(T, await self._controls.around(point, stand_in))

    def pivoted(self) -> None:
        """Pass it on."""
        self._controls.pivoted()


def _given(stub: object, input: object) -> Any:
    if isinstance(stub, BaseException):
        raise stub.with_traceback(None)
    return stub(input) if callable(stub) else stub


def _answers(calls: Mapping[Any, object]) -> Callable[[str, str, bytes], bytes | Failure]:
    known: dict[str, tuple[object, Described[Any, Any] | None]] = {}
    for target, answer in calls.items():
        if isinstance(target, str):
            known[target] = (answer, None)
            continue
        described: Described[Any, Any] = handler_from_callable(getattr(target, "run", target))
        known[f"{described.service_tag.name}/{described.name}"] = (answer, described)

    def called(service: str, handler: str, parameter: bytes) -> bytes | Failure:
        target = f"{service}/{handler}"
        if target not in known:
            raise SagaTestError(
                f"The saga calls {target}, and there is no server. Say what it answers: "
                f"run_saga(..., calls={{{target!r}: ...}})."
            )
        answer, described = known[target]
        try:
            value = _given(answer, parameter)
        except TerminalError as exc:
            return Failure(exc.status_code, exc.message, metadata=exc.metadata)
        if described is None:
            return (
                value if isinstance(value, bytes) else cast("Any", DefaultSerde()).serialize(value)
            )
        return bytes(described.handler_io.output_serde.serialize(value))

    return called
