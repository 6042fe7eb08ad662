"""How a call travels: from inside Restate through a context, from outside over the ingress."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol, cast
from urllib.parse import quote

from restate import TerminalError
from restate.client_types import HttpError, RestateClient
from restate.context import Context, SendHandle
from restate.serde import BytesSerde, Serde

from resaga.clients.targets import Target
from resaga.contexts import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    StepContext,
)
from resaga.errors import MisuseError, received
from resaga.saga import Saga

__all__ = ["Delivery", "Forwarding", "Sent", "Transport", "output_of", "transport_of"]

_BYTES = BytesSerde()

_TIMEOUT = (5.0, None, 30.0, 30.0)
"""Of a request at the ingress, in seconds: to connect; to read, where a saga may take days (the
SDK's client gives up after 5); to write; to get a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What goes with a call.

    Attributes:
        key: The key of the object or Restate workflow.
        idempotency_key: Two calls with the same one are one call.
        headers: Sent along.
        delay: How long a send waits until it begins.
    """

    key: str | None
    idempotency_key: str | None = None
    headers: Mapping[str, str] | None = None
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """A client of the ingress for one incoming request: its calls carry what that brought.

    Attributes:
        client: What ``restate.create_client(...)`` gave.
        headers: Sent with every call, unless the call has one of the same name.
        idempotency_key: Goes with the first call of each handler that names none itself.
    """

    client: RestateClient
    headers: Mapping[str, str]
    idempotency_key: str | None
    _keyed: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])

    def delivery(self, target: Target, how: Delivery) -> Delivery:
        """What goes with a call, with what is forwarded.

        Raises:
            MisuseError: The handler was called with the request's key before: Restate would take
                the second call for a repetition of the first, and answer with its result.
        """
        headers = dict(self.headers)
        given = how.headers or {}
        taken = {name.lower() for name in given}
        headers = {name: value for name, value in headers.items() if name.lower() not in taken}
        key = how.idempotency_key
        if key is None and self.idempotency_key is not None:
            key = self.idempotency_key
            address = (target.service, how.key or "", target.handler)
            if address in self._keyed:
                raise MisuseError(
                    f"{target.service}.{target.handler} is called twice in one request with the "
                    "request's Idempotency-Key. The second call would get the result of the "
                    "first. Give it idempotency_key= of its own."
                )
            self._keyed.add(address)
        return replace(how, headers={**headers, **given}, idempotency_key=key)


class Sent(Protocol):
    """An invocation that was sent."""

    async def invocation_id(self) -> str:
        """Its id."""
        ...

    async def result(self) -> bytes:
        """Wait for its end."""
        ...


class Transport(Protocol):
    """One way to make calls."""

    async def call(self, target: Target, content: bytes, how: Delivery) -> bytes:
        """Call, and give the output; a terminal error of the other side is raised as one."""
        ...

    async def send(self, target: Target, content: bytes, how: Delivery) -> Sent:
        """Begin an invocation, and do not wait for it."""
        ...

    async def attach(self, workflow: str, key: str) -> bytes:
        """Wait for the end of a Restate workflow."""
        ...


def transport_of(via: object) -> Transport:
    """The transport through what the user gave.

    Raises:
        MisuseError: Nothing can be called through that.
    """
    if isinstance(via, (Saga, DurableStepContext, DurableCompensationContext)):
        return _Inside(lambda: cast("Saga[Any]", via).ctx)
    if isinstance(via, Context):
        return _Inside(lambda: via)
    if isinstance(via, RestateClient):
        return _Ingress(via)
    if isinstance(via, Forwarding):
        return _Ingress(via.client, via)
    if isinstance(via, (StepContext, CompensationContext)):
        name = cast("StepContext[Any]", via).name
        raise MisuseError(
            f"A client was given the context of step {name!r}, which is an action: a call made "
            "there would not survive a replay. Make the step durable (durable=True), or call "
            "between the steps, with the saga."
        )
    raise MisuseError(
        f"A client was given {type(via).__name__} to call through. Give a saga, the context of a "
        "durable step, a Restate context, or what restate.create_client(...) gives."
    )


class _Inside:
    """Calls through a Restate context: journaled, and on replay not made again."""

    def __init__(self, ctx: Callable[[], Context]) -> None:
        self._ctx = ctx

    async def call(self, target: Target, content: bytes, how: Delivery) -> bytes:
        future = self._ctx().generic_call(
            target.service,
            target.handler,
            content,
            key=how.key,
            idempotency_key=how.idempotency_key,
            headers=None if how.headers is None else dict(how.headers),
        )
        return await _as_received(future)

    async def send(self, target: Target, content: bytes, how: Delivery) -> Sent:
        ctx = self._ctx()
        handle = ctx.generic_send(
            target.service,
            target.handler,
            content,
            key=how.key,
            send_delay=how.delay,
            idempotency_key=how.idempotency_key,
            headers=None if how.headers is None else dict(how.headers),
        )
        return _SentInside(ctx, handle)

    async def attach(self, workflow: str, key: str) -> bytes:
        raise MisuseError(
            f"attach() to {workflow}/{key} was called inside Restate, which attaches by "
            "invocation id only. Attach to what the send client gave, or ask a query handler of "
            "the workflow."
        )


class _SentInside:
    def __init__(self, ctx: Context, handle: SendHandle) -> None:
        self._ctx = ctx
        self._handle = handle

    async def invocation_id(self) -> str:
        return await self._handle.invocation_id()

    async def result(self) -> bytes:
        invocation_id = await self.invocation_id()
        serde = cast("Serde[bytes | None]", _BYTES)
        return await _as_received(self._ctx.attach_invocation(invocation_id, serde=serde))


async def _as_received(future: Awaitable[bytes | None]) -> bytes:
    try:
        return await future or b""
    except TerminalError as error:
        known = received(error)
        if known is error:
            raise
        raise known from None


class _Http(Protocol):
    """What of the SDK's client this module uses (restate-sdk 1.3): its HTTP client and codec."""

    client: Any
    journal_codec: Any


class _Ingress:
    """Calls over the ingress, with the SDK's client.

    Its own methods give up after five seconds, lose the key's special characters, and raise
    terminal errors as `HttpError`; so its HTTP client is asked, which has its address, its
    headers and its connections.
    """

    def __init__(self, client: RestateClient, forwarding: Forwarding | None = None) -> None:
        self._forwarding = forwarding
        if not hasattr(client, "client"):
            raise MisuseError(
                f"{type(client).__name__} is no client of restate.create_client(...), which is "
                "the one that resaga knows to call through."
            )
        self._http = cast("_Http", client)

    async def call(self, target: Target, content: bytes, how: Delivery) -> bytes:
        return await self._decoded(await self._post(target, content, how, ""))

    async def send(self, target: Target, content: bytes, how: Delivery) -> Sent:
        suffix = "/send"
        if how.delay is not None:
            suffix += f"?delay={int(how.delay.total_seconds() * 1000)}ms"
        accepted = json.loads(await self._post(target, content, how, suffix))
        return _SentOutside(self, accepted["invocationId"])

    async def attach(self, workflow: str, key: str) -> bytes:
        return await self.get("workflow", workflow, key, "attach")

    async def get(self, *path: str) -> bytes:
        """Ask about an invocation."""
        url = "/".join(["restate", *(quote(part, safe="") for part in path)])
        response = await self._http.client.get(url, timeout=_TIMEOUT)
        return await self._decoded(_content(response))

    async def _post(self, target: Target, content: bytes, how: Delivery, suffix: str) -> bytes:
        if self._forwarding is not None:
            how = self._forwarding.delivery(target, how)
        parts = [target.service, *([] if how.key is None else [how.key]), target.handler]
        headers = dict(how.headers or {})
        if target.takes_input:
            headers["content-type"] = "application/json"
            if self._http.journal_codec is not None:
                content = self._http.journal_codec.encode(content)
        if how.idempotency_key is not None:
            headers["idempotency-key"] = how.idempotency_key
        url = "/".join(quote(part, safe="") for part in parts) + suffix
        response = await self._http.client.post(
            url, headers=headers, content=content, timeout=_TIMEOUT
        )
        return _content(response)

    async def _decoded(self, content: bytes) -> bytes:
        codec = self._http.journal_codec
        return content if codec is None or not content else await codec.decode(content)


class _SentOutside:
    def __init__(self, ingress: _Ingress, invocation_id: str) -> None:
        self._ingress = ingress
        self._id = invocation_id

    async def invocation_id(self) -> str:
        return self._id

    async def result(self) -> bytes:
        return await self._ingress.get("invocation", self._id, "attach")


async def output_of(client: RestateClient, invocation_id: str) -> bytes:
    """The output of an invocation that has ended, as bytes.

    Raises:
        restate.TerminalError: What it ended with.
        restate.HttpError: It has not ended (470), or is not known (404).
    """
    return await _Ingress(client).get("invocation", invocation_id, "output")


def _content(response: Any) -> bytes:
    """The body of an answer of the ingress; a terminal error of the other side is raised as one."""
    if response.status_code < 400:
        return cast("bytes", response.content)
    try:
        body: dict[str, Any] = response.json()
        if body.get("source") == "invocation":
            error = TerminalError(body["message"], body["code"], body.get("metadata"))
        else:
            raise KeyError("source")
    except (ValueError, KeyError, AttributeError):
        # The ingress itself: no such service, no such invocation, not ready.
        raise HttpError(response.status_code, response.reason_phrase, response.text) from None
    raise received(error)
