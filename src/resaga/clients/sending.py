"""Clients that begin something, and do not wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Generic, Never, cast, overload

from typing_extensions import TypeVar

from resaga.clients.reach import Reach
from resaga.clients.targets import Target
from resaga.clients.transport import Sent as SentBytes
from resaga.contracts import Call
from resaga.definitions.handlers import Handler

__all__ = ["SendClient", "Sent", "WorkflowSendClient"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
In = TypeVar("In")
Out = TypeVar("Out")


class Sent(Generic[Out_co]):
    """An invocation that was sent: its id, and its end for who wants to wait."""

    def __init__(self, sent: SentBytes, decode: Callable[[bytes], Any]) -> None:
        self._sent = sent
        self._decode = decode

    async def invocation_id(self) -> str:
        """Its id, by which Restate's tools know it; inside Restate this waits for it."""
        return await self._sent.invocation_id()

    async def attach(self) -> Out_co:
        """Wait for its end, and give its output.

        What has ended already is known while the server retains it: give the send an idempotency
        key, or send to a Restate workflow.

        Raises:
            restate.TerminalError: What it ended with.
        """
        return cast("Out_co", self._decode(await self._sent.result()))


class SendClient(Reach):
    """Begins handlers of one definition without waiting; made by the ``..._send_client``s.

    As `Client`, and each call gives a `Sent` as soon as the server has it; ``delay=`` puts its
    begin off. From inside Restate a send is journaled, and it is not cancelled with the saga.
    """

    @overload
    def call(
        self,
        handler: Call[None, Out] | Handler[None, Out],
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Out]]: ...
    @overload
    def call(
        self,
        handler: Call[In, Out] | Handler[In, Out],
        argument: In,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Out]]: ...
    @overload
    def call(
        self,
        handler: Callable[[Any, In], Awaitable[Out]],
        argument: In,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Out]]: ...
    @overload
    def call(
        self,
        handler: Callable[[Any], Awaitable[Out]],
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Out]]: ...
    def call(
        self,
        handler: object,
        /,
        *argument: object,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Any]]:
        """Begin a handler.

        Args:
            handler: A handler of the definition, as its decorator returned it, or a call of its
                contract.
            *argument: Its input, where it takes one.
            delay: How long it waits until it begins; by default not at all.
            idempotency_key: Two sends with the same one are one invocation.
            headers: Sent along; a `SagaRequest` has them.

        Raises:
            MisuseError: It is no handler of this definition. Nothing is sent.
            CodecError: The argument does not fit its type. Nothing is sent.
        """
        target = self._targets.of(handler)
        return self._send(
            target, argument, delay=delay, idempotency_key=idempotency_key, headers=headers
        )

    def __getattr__(self, name: str) -> Callable[..., Coroutine[object, Never, Sent[Any]]]:
        if name.startswith("_"):
            raise AttributeError(name)
        target = self._targets.named(name)

        def send(*argument: object, **how: Any) -> Coroutine[object, Never, Sent[Any]]:
            return self._send(target, argument, **how)

        return send

    async def _send(
        self,
        target: Target,
        argument: tuple[object, ...],
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sent[Any]:
        content = self.encoded(target, argument)
        how = self.delivery(idempotency_key, headers, delay)
        return Sent(await self._transport.send(target, content, how), target.decode)


class WorkflowSendClient(SendClient, Generic[In_contra, Out_co]):
    """Begins a workflow; ``await client.run(order)`` is typed by it."""

    @overload
    def run(
        self: WorkflowSendClient[None, Out],
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Out]]: ...
    @overload
    def run(
        self,
        input: In_contra,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Out_co]]: ...
    def run(
        self,
        /,
        *input: object,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Sent[Any]]:
        """Begin the workflow, and do not wait for it.

        Args:
            *input: Its input, where it takes one.
            delay: How long it waits until it begins; by default not at all.
            idempotency_key: Two sends with the same one are one run.
            headers: Sent along; a `SagaRequest` has them.
        """
        return self._send(
            self._targets.named("run"),
            input,
            delay=delay,
            idempotency_key=idempotency_key,
            headers=headers,
        )
