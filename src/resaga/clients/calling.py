"""Clients that call, and wait for what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, Never, cast, overload

from typing_extensions import TypeVar

from resaga.clients.reach import Reach
from resaga.clients.targets import Target
from resaga.contracts import Call
from resaga.definitions.handlers import Handler

__all__ = ["Client", "KeyedWorkflowClient", "WorkflowClient"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
In = TypeVar("In")
Out = TypeVar("Out")


class Client(Reach):
    """Calls the handlers of one definition; made by `service_client` and its sisters.

    ``client.call(handler, argument)`` is typed by the handler. ``client.transfer(argument)``
    calls a handler by its name on the wire; its types are known where the client was made from
    a contract. Calls are coroutines: awaited, they call, wait, and give the output.

    From inside Restate a call is journaled: on replay its result comes from the journal. It
    raises the `restate.TerminalError` that the other side ended with, a `RollbackIncomplete`
    where it was one, in which case a saga rolls back, too, unless it catches it (R5). From
    outside it raises the same, and the SDK's `restate.HttpError` for what the ingress itself
    answers (no such service).
    """

    @overload
    def call(
        self,
        handler: Call[None, Out],
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def call(
        self,
        handler: Call[In, Out],
        argument: In,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def call(
        self,
        handler: Handler[None, Out],
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def call(
        self,
        handler: Handler[In, Out],
        argument: In,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def call(
        self,
        handler: Callable[[Any, In], Awaitable[Out]],
        argument: In,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def call(
        self,
        handler: Callable[[Any], Awaitable[Out]],
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    def call(
        self,
        handler: object,
        /,
        *argument: object,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Any]:
        """Call a handler, and give its output.

        Args:
            handler: A handler of the definition, as its decorator returned it, or a call of its
                contract.
            *argument: Its input, where it takes one.
            idempotency_key: Two calls with the same one are one call.
            headers: Sent along; a `SagaRequest` has them.

        Raises:
            restate.TerminalError: What the other side ended with.
            MisuseError: It is no handler of this definition. Nothing is sent.
            CodecError: The argument does not fit its type. Nothing is sent.
        """
        target = self._targets.of(handler)
        return self._call(target, argument, idempotency_key=idempotency_key, headers=headers)

    def __getattr__(self, name: str) -> Callable[..., Coroutine[object, Never, Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        target = self._targets.named(name)

        def call(*argument: object, **how: Any) -> Coroutine[object, Never, Any]:
            return self._call(target, argument, **how)

        return call

    def by_contract(
        self,
        call: Call[Any, Any],
        argument: object,
        *,
        idempotency_key: str | None,
        headers: Mapping[str, str] | None,
    ) -> Coroutine[object, Never, Any]:
        """Call what a contract's attribute stands for."""
        given = (argument,) if call.takes_input else ()
        target = self._targets.of(call)
        return self._call(target, given, idempotency_key=idempotency_key, headers=headers)

    async def _call(
        self,
        target: Target,
        argument: tuple[object, ...],
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        content = self.encoded(target, argument)
        how = self.delivery(idempotency_key, headers)
        return target.decode(await self._transport.call(target, content, how))


class WorkflowClient(Client, Generic[In_contra, Out_co]):
    """Calls a workflow; ``await client.run(order)`` is typed by it."""

    @overload
    def run(
        self: WorkflowClient[None, Out],
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def run(
        self,
        input: In_contra,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out_co]: ...
    def run(
        self,
        /,
        *input: object,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, object]:
        """Run the workflow, and give its output; `Client` says what is raised.

        Args:
            *input: Its input, where it takes one.
            idempotency_key: Two runs with the same one are one run.
            headers: Sent along; a `SagaRequest` has them.
        """
        target = self._targets.named("run")
        return self._call(target, input, idempotency_key=idempotency_key, headers=headers)


class KeyedWorkflowClient(WorkflowClient[In_contra, Out_co]):
    """Calls a Restate workflow of one key: runs it, signals it, asks it, attaches to it."""

    async def attach(self) -> Out_co:
        """Wait until the workflow of this key has ended, and give its output.

        For use from outside, with the client of ``restate.create_client``.

        Raises:
            restate.TerminalError: What it ended with.
            MisuseError: It is called inside Restate, which attaches by invocation id only.
            restate.HttpError: No such workflow has begun, or its result is kept no longer.
        """
        target = self._targets.named("run")
        assert self._key is not None
        output = target.decode(await self._transport.attach(target.service, self._key))
        return cast("Out_co", output)
