"""The one seam of the SDK that resaga takes: a context whose waiting goes through resaga.

The SDK offers no hook for what a saga needs. All waiting of a Restate context, the user's own
``ctx.sleep``, calls and ``restate.select`` included, goes through its
``create_poll_or_cancel_coroutine``; `take_seam` turns the attempt's context into a `SagaContext`,
a subclass that overrides that method and a few beside it, and looks for progress in a loop of its
own (`SagaContext.poll`). No other module reaches into the SDK, and ``tests/server/test_seam.py``
fails loudly when a new version changes what is used here.

Measured with restate-sdk 1.3.0: changing ``__class__`` keeps the very object that the handler,
the SDK's combinators and ``restate.extensions.current_context()`` hold, and works for services,
objects and workflows; a wrapper would be refused by the combinators.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from restate import TerminalError
from restate.context import Context, RunOptions, SendHandle
from restate.exceptions import SdkInternalException, SuspendedException
from restate.serde import Serde
from restate.server_context import (
    DisconnectedException,
    ServerCallDurableFuture,
    ServerInvocationContext,
)
from restate.vm import (
    AllCompletedUnresolvedFuture,
    DoProgressAnyCompleted,
    DoProgressCancelSignalReceived,
    DoProgressExecuteRun,
    DoProgressWaitExternalProgress,
    SingleUnresolvedFuture,
    Suspended,
    UnresolvedFuture,
    VMWrapper,
)

from resaga.action import forbid_in_action, what_runs
from resaga.errors import MisuseError
from resaga.handles import handles

__all__ = [
    "Hooks",
    "SagaContext",
    "ShieldedCall",
    "is_fresh",
    "take_seam",
]

T = TypeVar("T")

_Sdk: Any = ServerInvocationContext
"""For the methods of the SDK's that have no complete types."""

_RUN_COMPLETED: Any = {"type": "restate.run_completed", "data": None}
"""By this the SDK's channel tells who waits on it that an action has ended."""

_logger = logging.getLogger(__name__)


class Hooks(Protocol):
    """What a `SagaContext` tells, and asks."""

    def wait(self, wanted: UnresolvedFuture) -> Coroutine[Any, Any, None]:
        """Wait until ``wanted`` is there, in the SDK's stead."""
        ...

    def execute(
        self, handle: int, action: Callable[[], Any], propose: Callable[[Any], Awaitable[None]]
    ) -> Coroutine[Any, Any, None]:
        """Run an action; ``propose`` runs what it is given and journals the result."""
        ...

    @property
    def failing(self) -> bool:
        """Whether an action waits to fail the attempt, or it is over."""
        ...

    async def settle(self) -> None:
        """Wait until none does; raises if it is over."""
        ...

    def note_run(self, handle: int) -> None:
        """A run was created."""
        ...

    def note_call(self, future: ServerCallDurableFuture[Any]) -> None:
        """A call to another handler was made."""
        ...

    def note_taken(self, handle: int) -> None:
        """A result went to whoever waited for it, or its failure did."""
        ...

    def failure_of(self, handle: int, error: TerminalError) -> TerminalError:
        """What is raised for the failure that came for a handle."""
        ...

    def shielded_call(
        self, send: Callable[[str], SendHandle], serde: Serde[Any], key: str | None
    ) -> ServerCallDurableFuture[Any] | None:
        """Make a call as send and attach, in a rollback; elsewhere give ``None``."""
        ...


class SagaContext(ServerInvocationContext):
    """The SDK's context with the seam taken."""

    hooks: Hooks
    sending: asyncio.Lock
    senders: int
    turns: int

    @property
    def vm(self) -> VMWrapper:
        """The state machine; out of reach inside an action, whoever captured the context (R14).

        A command written from there would stand in the journal where no replay writes it.
        """
        if what_runs.get() is not None:  # Asked here: this is read six times a step.
            forbid_in_action("The Restate context")
        return self._vm

    @vm.setter
    def vm(self, vm: VMWrapper) -> None:
        self._vm = vm

    # -- for the journal -------------------------------------------------------------------

    async def poll(self, wanted: UnresolvedFuture) -> bool:
        """Look for progress until ``wanted`` is there; false if a cancel came instead, once.

        The SDK's loop, on the same state machine and channel, but for two things. Nothing looks
        for progress while an action waits to fail the attempt (R17). And actions that begin get
        one turn of the event loop before what was written is sent: the result of one that ends
        in it leaves in one message with its command, where the SDK sends two. The command of any
        other leaves as soon as it waits for something.

        Raises:
            SuspendedException: The attempt is to end here; another one goes on.
            SdkInternalException: The state machine refuses to go on, which it logs.
            DisconnectedException: The server has given this attempt up.
        """
        vm, hooks = self._vm, self.hooks
        to_begin = self._begins_any(wanted)  # As long as it is, nothing is sent: that comes next.
        while True:
            if hooks.failing:
                await hooks.settle()
            if not to_begin:
                await self.send_output()
            progress = vm.do_progress(wanted)
            if isinstance(progress, DoProgressWaitExternalProgress):
                if to_begin:
                    to_begin = False
                    await self._give_turn()
                else:
                    await self._hear()
            elif isinstance(progress, DoProgressAnyCompleted):
                if to_begin:
                    await self.send_output()
                return True
            elif isinstance(progress, DoProgressExecuteRun):
                begin = self.run_coros_to_execute.pop(progress.handle)
                tasks: Any = self.tasks  # Its annotations are not complete.
                tasks.add(asyncio.create_task(self._act(begin)))
            elif isinstance(progress, DoProgressCancelSignalReceived):
                return False
            elif isinstance(progress, Suspended):
                raise SuspendedException
            else:
                _logger.error(
                    "saga %s cannot go on", self.invocation.invocation_id, exc_info=progress
                )
                raise SdkInternalException from progress

    def _begins_any(self, wanted: UnresolvedFuture) -> bool:
        """Whether looking for ``wanted`` may begin an action."""
        return not self.run_coros_to_execute.keys().isdisjoint(handles(wanted))

    async def _hear(self) -> None:
        """Wait for a message, from the server or from an action that has ended."""
        message: Any = await self.receive()
        kind = message.get("type")
        if kind == "restate.run_completed":
            return
        if kind == "http.disconnect":
            raise DisconnectedException
        if body := message.get("body"):
            self._vm.notify_input(body)
        if not message.get("more_body", False):
            self._vm.notify_input_closed()

    async def _give_turn(self) -> None:
        """Let actions that have just begun run until they wait for something, or end."""
        self.turns += 1
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            # One may have ended and told nobody, as this was to look for progress next.
            await self._tell_ended()
            raise
        finally:
            self.turns -= 1

    async def _act(self, begin: Callable[[], Awaitable[None]]) -> None:
        try:
            await begin()
        finally:
            if not self.turns:
                await self._tell_ended()

    async def _tell_ended(self) -> None:
        """Wake who waits on the channel: an action has ended."""
        await self.receive.enqueue_restate_event(_RUN_COMPLETED)

    async def send_output(self) -> None:
        """Send what is to be sent, whoever looks for progress."""
        # What is taken first is sent first: one that comes while another sends takes after it.
        output = None if self.senders else self._vm.take_output()
        if output == b"":
            return
        self.senders += 1
        try:
            async with self.sending:
                output = output or self._vm.take_output()
                if output:
                    await self.send(
                        {"type": "http.response.body", "body": bytes(output), "more_body": True}
                    )
        finally:
            self.senders -= 1

    async def result_of_run(
        self, name: str, action: Callable[[], Awaitable[T]], options: RunOptions[T]
    ) -> T:
        """Make a run, and wait for its result here: the SDK's future would in a task of its own."""
        future: Any = self.run_typed(name, action, options)
        result: T = await future.future.async_def()
        return result

    def is_there(self, wanted: UnresolvedFuture) -> bool:
        """Whether ``wanted`` has come, and has not been taken yet."""
        if isinstance(wanted, SingleUnresolvedFuture):
            return self._vm.is_completed(wanted.handle)
        if isinstance(wanted, AllCompletedUnresolvedFuture):
            return all(self.is_there(child) for child in wanted.children)
        return any(self.is_there(child) for child in wanted.children)

    def is_pending_run(self, handle: int) -> bool:
        """Whether a run has no result in the journal, and has not begun in this attempt."""
        return handle in self.run_coros_to_execute

    @property
    def has_state(self) -> bool:
        """Whether the invocation may write the state of its key."""
        return self.handler.service_tag.kind != "service"

    @property
    def has_promises(self) -> bool:
        """Whether this is the main handler of a Restate workflow."""
        return self.handler.kind == "workflow"

    @property
    def connection_gone(self) -> asyncio.Event:
        """Set when the server has given this attempt up."""
        return self.receive._disconnected  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    # -- for the SDK -----------------------------------------------------------------------

    def create_poll_or_cancel_coroutine(self, unresolved_future: UnresolvedFuture) -> Any:
        """Wait: through the journal."""
        return self.hooks.wait(unresolved_future)

    async def take_and_send_output(self) -> None:
        """Send what is to be sent."""
        await self.send_output()

    async def must_take_notification(self, handle: int) -> Any:
        """Take a result that is there."""
        try:
            return await _Sdk.must_take_notification(self, handle)
        except TerminalError as error:
            failure = self.hooks.failure_of(handle, error)
            if failure is error:
                raise
            raise failure from error
        finally:
            self.hooks.note_taken(handle)

    def create_run_coroutine(self, handle: int, action: Any, *args: Any, **kwargs: Any) -> Any:
        """Run an action and propose its result: through the journal."""
        propose = _Sdk.create_run_coroutine
        return self.hooks.execute(
            handle, action, lambda guarded: propose(self, handle, guarded, *args, **kwargs)
        )

    def random(self) -> Random:
        """The invocation's random numbers; out of reach inside an action (R14).

        An action does not run on replay: had it drawn from them, the body would go on with
        others there than it did at first.
        """
        forbid_in_action("ctx.random()")
        return super().random()

    def uuid(self) -> UUID:
        """The next random UUID; out of reach inside an action, as `random` is."""
        forbid_in_action("ctx.uuid()")
        return super().uuid()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Make a run, as the SDK does."""
        future = _Sdk.run(self, *args, **kwargs)
        self.hooks.note_run(future.handle)
        return future

    def run_typed(self, *args: Any, **kwargs: Any) -> Any:
        """Make a run, as the SDK does."""
        future = _Sdk.run_typed(self, *args, **kwargs)
        self.hooks.note_run(future.handle)
        return future

    def create_call_future(
        self, handle: int, invocation_id_handle: int, serde: Serde[Any] | None = None
    ) -> ServerCallDurableFuture[Any]:
        """Make the future of a call, as the SDK does."""
        future = super().create_call_future(handle, invocation_id_handle, serde)
        self.hooks.note_call(future)
        return future

    def do_raw_call(
        self,
        service: str,
        handler: str,
        input_param: Any,
        input_serde: Serde[Any],
        output_serde: Serde[Any],
        key: str | None = None,
        send_delay: timedelta | None = None,
        send: bool = False,  # noqa: FBT001, FBT002  # the SDK's signature
        idempotency_key: str | None = None,
        headers: dict[str, str] | None = None,
        scope: str | None = None,
        limit_key: str | None = None,
    ) -> Any:
        """Call or send, as the SDK does; in a rollback a call is a send and an attach (R8)."""

        def as_send(idempotency_key: str) -> SendHandle:
            return cast(
                SendHandle,
                super(SagaContext, self).do_raw_call(
                    service, handler, input_param, input_serde, output_serde, key,
                    None, True, idempotency_key, headers, scope, limit_key,
                ),
            )  # fmt: skip

        if not send and not send_delay:
            shielded = self.hooks.shielded_call(as_send, output_serde, idempotency_key)
            if shielded is not None:
                return shielded
        return super().do_raw_call(
            service, handler, input_param, input_serde, output_serde, key,
            send_delay, send, idempotency_key, headers, scope, limit_key,
        )  # fmt: skip


class ShieldedCall(ServerCallDurableFuture[Any]):
    """A call as send and attach, which the SDK's combinators take for a call (R8).

    Attaching needs the invocation id, and the id needs a wait; until then the future goes by
    the handle of a signal that nobody ever sends, which writes nothing into the journal.
    """

    def __init__(self, ctx: SagaContext, sent: SendHandle, number: int, serde: Serde[Any]) -> None:
        placeholder = ctx.vm.sys_signal(f"resaga:call:{number}")
        self._attached: int | None = None

        async def result() -> Any:
            handle = await self.attach()
            return await ctx.create_future(handle, serde)

        cast("Any", super()).__init__(ctx, placeholder, result, sent.invocation_id)

    def is_completed(self) -> bool:
        """Whether the result is there, or has been taken."""
        return cast("Any", self).future.done() or (
            self._attached is not None and self.context.vm.is_completed(self._attached)
        )

    async def attach(self) -> int:
        """The handle of the result, attached to at the first wait."""
        invocation_id = await self.invocation_id()
        if self._attached is None:
            self._attached = self.context.vm.attach_invocation(invocation_id)
        return self._attached


def take_seam(ctx: Context) -> SagaContext:
    """Take the seam of this attempt's context; the caller sets its ``hooks``.

    Raises:
        MisuseError: The context is not the SDK's own, or a saga has taken it already.
    """
    if not isinstance(ctx, ServerInvocationContext) or isinstance(ctx, SagaContext):
        raise MisuseError(
            f"resaga needs the context that the Restate SDK made for this attempt, not "
            f"{type(ctx).__name__}. Serve the definitions with restate.app([...]), and run a saga "
            "inside another with run_as_step or run_nested_saga."
        )
    vm = ctx.vm
    ctx.__class__ = SagaContext
    taken = cast(SagaContext, ctx)
    taken.vm = vm
    taken.sending = asyncio.Lock()
    taken.senders = 0
    taken.turns = 0
    return taken


def is_fresh(ctx: Context) -> bool:
    """Whether this attempt's journal has no entry yet; of a context whose seam is not taken."""
    return not cast(ServerInvocationContext, ctx).vm.is_replaying()
