"""What `resaga.seam` assumes of the SDK. A failure here means: read seam.py before anything else.

The SDK's range in pyproject.toml admits one minor version; before it admits another, all of this
has to hold for that one, and the tests against the server have to pass.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import inspect
from typing import Any

import pytest
import restate
from restate import exceptions, server_context
from restate.context import Context
from restate.exceptions import (
    SdkInternalBaseException,
    SdkInternalException,
    SuspendedException,
)
from restate.handler import Handler, handler_from_callable
from restate.server_context import (
    DisconnectedException,
    ServerCallDurableFuture,
    ServerDurableFuture,
    ServerInvocationContext,
)
from restate.server_types import ReceiveChannel
from restate.vm import (
    AllCompletedUnresolvedFuture,
    FirstCompletedUnresolvedFuture,
    SingleUnresolvedFuture,
    VMWrapper,
)

from resaga.handles import all_of, any_of, handles
from resaga.seam import SagaContext

LOOK = "the SDK has changed what resaga.seam overrides: compare it with the SDK's new code"

OVERRIDDEN: dict[str, list[str]] = {
    "create_poll_or_cancel_coroutine": ["self", "unresolved_future"],
    "take_and_send_output": ["self"],
    "must_take_notification": ["self", "handle"],
    "create_run_coroutine": [
        "self", "handle", "action", "serde", "max_attempts", "max_duration",
        "initial_retry_interval", "max_retry_interval", "retry_interval_factor",
    ],
    "run": [
        "self", "name", "action", "serde", "max_attempts", "max_retry_duration", "type_hint",
        "args",
    ],
    "random": ["self"],
    "uuid": ["self"],
    "run_typed": ["self", "name", "action", "options", "args", "kwargs"],
    "create_call_future": ["self", "handle", "invocation_id_handle", "serde"],
    "do_raw_call": [
        "self", "service", "handler", "input_param", "input_serde", "output_serde", "key",
        "send_delay", "send", "idempotency_key", "headers", "scope", "limit_key",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_the_sdk_has_the_method_that_is_overridden(name: str) -> None:
    theirs: Any = getattr(ServerInvocationContext, name)
    assert list(inspect.signature(theirs).parameters) == OVERRIDDEN[name], LOOK
    assert name in vars(SagaContext)


def test_all_that_the_context_does_not_inherit_is_known() -> None:
    ours = {name for name in vars(SagaContext) if not name.startswith("_")}
    assert ours - set(OVERRIDDEN) == {
        "connection_gone", "has_promises", "has_state", "is_pending_run", "is_there", "poll",
        "result_of_run", "send_output", "vm",
    }, LOOK  # fmt: skip
    theirs = vars(ServerInvocationContext)
    for name in ours - set(OVERRIDDEN):
        assert name not in theirs, f"{name} is now the SDK's own; {LOOK}"


def test_the_context_has_what_is_read_of_it() -> None:
    source = inspect.getsource(ServerInvocationContext)
    for line in (
        "self.vm = vm",
        "self.receive = receive",
        "self.run_coros_to_execute: dict[int,",
        "self.send = send",
        "self.tasks = Tasks()",
    ):
        assert line in source, LOOK


def test_the_sdk_looks_for_progress_as_the_loop_that_stands_for_its_own_does() -> None:
    """`SagaContext.poll` is written after this; where it changes, that has to follow."""
    poll = inspect.getsource(ServerInvocationContext.create_poll_or_cancel_coroutine)
    lines = [line.strip() for line in poll.splitlines() if line.strip()[:1] not in ("", "#", '"')]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest == "898556d3f74ad3fc1a5eefae3a1c6a50d1544a8ac7be04b09ec3bf9e0f7c9540", LOOK
    sends = inspect.getsource(ServerInvocationContext.take_and_send_output)
    for line in ("output = self.vm.take_output()", '"body": bytes(output),', '"more_body": True,'):
        assert line in sends, LOOK


def test_the_class_of_a_context_can_be_changed() -> None:
    context = object.__new__(ServerInvocationContext)
    context.__class__ = SagaContext
    assert isinstance(context, SagaContext)


async def test_the_channel_tells_that_the_server_is_gone() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    channel = ReceiveChannel(receive)
    gone = channel._disconnected
    assert isinstance(gone, asyncio.Event), LOOK
    await asyncio.wait_for(gone.wait(), 10)
    assert list(inspect.signature(channel.enqueue_restate_event).parameters) == ["what"], LOOK
    await channel.close()


def test_futures_go_by_a_handle() -> None:
    future: Any = ServerDurableFuture
    call: Any = ServerCallDurableFuture
    assert list(inspect.signature(future.__init__).parameters) == [
        "self", "context", "handle", "async_def",
    ], LOOK  # fmt: skip
    assert list(inspect.signature(call.__init__).parameters) == [
        "self", "context", "result_handle", "result_async_def", "invocation_id_async_def",
    ], LOOK  # fmt: skip
    assert "self.task = asyncio.create_task(self.async_def())" in inspect.getsource(
        server_context.LazyFuture
    ), LOOK
    assert "self.future = LazyFuture(async_def)" in inspect.getsource(future.__init__), LOOK


VM: dict[str, list[str]] = {
    "do_progress": ["self", "unresolved_future"],
    "is_completed": ["self", "handle"],
    "is_replaying": ["self"],
    "notify_input": ["self", "input_buf"],
    "notify_input_closed": ["self"],
    "take_output": ["self"],
    "sys_signal": ["self", "signal_name"],
    "attach_invocation": ["self", "invocation_id"],
}


@pytest.mark.parametrize("name", VM)
def test_the_state_machine_has_what_is_asked_of_it(name: str) -> None:
    theirs: Any = getattr(VMWrapper, name)
    assert list(inspect.signature(theirs).parameters) == VM[name], LOOK


def test_what_is_waited_for_is_a_tree_of_handles() -> None:
    one, other = SingleUnresolvedFuture(1), SingleUnresolvedFuture(2)
    assert (one.handle, other.handle) == (1, 2), LOOK
    for kind in (AllCompletedUnresolvedFuture, FirstCompletedUnresolvedFuture):
        assert list(kind([one, other]).children) == [one, other], LOOK
        # The journal makes one of the same kind out of others (Calls.attached).
        assert list(inspect.signature(kind.__init__).parameters) == ["self", "children"], LOOK
    assert list(handles(any_of([all_of([1, 2]), other]))) == [1, 2, 2]


def test_the_ways_by_which_an_attempt_ends_are_known() -> None:
    """`resaga.classify` lets these pass; another one would roll sagas back (R4)."""
    assert issubclass(DisconnectedException, Exception), LOOK
    for internal in (SuspendedException, SdkInternalException):
        assert issubclass(internal, SdkInternalBaseException), LOOK
    found = {
        name
        for name, cls in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(cls, BaseException) and cls.__module__ == exceptions.__name__
    }
    assert found == {
        "RetryableError", "SdkInternalBaseException", "SdkInternalException",
        "SuspendedException", "TerminalError",
    }, LOOK  # fmt: skip


def test_a_handler_says_whether_it_has_explicit_recovery() -> None:
    assert "explicit_recovery" in inspect.getsource(Handler), LOOK
    assert "self.handler = handler" in inspect.getsource(ServerInvocationContext), LOOK


def test_a_handler_is_found_by_what_its_callable_holds() -> None:
    """`resaga.definitions.handlers.Handler` passes that on."""
    service = restate.Service("Seam")

    @service.handler()
    async def run(ctx: Context) -> None:
        """Does nothing."""

    class Holder:
        def __call__(self, ctx: Context) -> None:
            """Is never called."""

    holder: Any = Holder()
    holder.__dict__.update(vars(run))
    assert handler_from_callable(holder) is handler_from_callable(run), LOOK


def test_the_range_of_the_sdk_admits_one_minor_version() -> None:
    needs = importlib.metadata.requires("resaga") or []
    assert "restate-sdk<1.4,>=1.3" in needs
