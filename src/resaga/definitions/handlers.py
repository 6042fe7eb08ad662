"""The user's functions as handlers of Restate: bytes in, one attempt, a value out (R22, R28)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Literal, Never, TypeAlias, cast, overload

import restate
from restate import TerminalError
from restate.context import Context
from restate.handler import HandlerIO, TypeHint, handler_from_callable
from restate.serde import Serde
from typing_extensions import TypeVar

from resaga.action import Running, runs_in_thread
from resaga.attempt import Attempt
from resaga.branches import Scheduler
from resaga.classify import ErrorMapper, raise_terminal, terminal_of
from resaga.definitions.options import SagaOptions
from resaga.errors import CodecError, MisuseError
from resaga.journal import Journal
from resaga.line import Line
from resaga.rollback import drive, raise_reportable
from resaga.saga import Saga
from resaga.seam import is_fresh
from resaga.serde import Codec, codec_for
from resaga.services import SagaRequest, open_services, scopes_of
from resaga.signature import check_function, parameters, resolve, returns
from resaga.wire import carriable_terminal

__all__ = [
    "SAGA_MARK",
    "Body",
    "Definition",
    "Gets",
    "Handler",
    "HandlerParts",
    "KeepsJournal",
    "handler_parts",
    "open_handler",
    "open_shared_handler",
]

SAGA_MARK = "resaga"
"""Metadata key of every handler that is a saga: by it `resaga list` tells them from others."""

_PARTS = "__resaga_parts__"
In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
Out = TypeVar("Out")

Gets: TypeAlias = Literal["the saga", "the Restate context"]
"""What the user's functions get before their input."""


class Body(Generic[In_contra, Out_co]):
    """The user's function of a handler, with the codecs of what it takes and gives.

    Attributes:
        fn: The function.
        gets: What it gets before its input.
        where: The handler, for messages.
        takes_input: Whether it takes one.
        input: How its input is read.
        output: How its result is written.
    """

    def __init__(
        self, fn: Callable[..., Awaitable[Any]], *, where: str, gets: Sequence[Gets]
    ) -> None:
        check_function(fn, where=where)
        if runs_in_thread(fn):
            raise MisuseError(
                f"The body of {where} is not an async def: {fn!r}. It awaits Restate, so it has "
                "to be one."
            )
        taken = parameters(fn)
        if not len(gets) <= len(taken) <= len(gets) + 1:
            raise MisuseError(
                f"{where} takes {len(taken)} arguments. It gets {' and '.join(gets)}, and at most "
                "one input after that."
            )
        self.fn = fn
        self.gets = gets
        self.where = where
        self.takes_input: bool = len(taken) > len(gets)
        declared = taken[-1].annotation if self.takes_input else None
        self.input: Codec[Any] = codec_for(
            resolve(fn, declared, where=where, what="the input"),
            where=f"the input of {where}",
        )
        self.output: Codec[Any] = codec_for(
            returns(fn, where=where), where=f"the result of {where}"
        )

    def call(self, saga: Saga[Any] | None, ctx: Context, value: object) -> Awaitable[Any]:
        """Call the function with what it gets."""
        given = [saga if what == "the saga" else ctx for what in self.gets]
        return self.fn(*given, value) if self.takes_input else self.fn(*given)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerParts:
    """What a handler was made of, for tools; without a saga it has no options of resaga's."""

    body: Body[Any, Any]
    options: SagaOptions | None


def handler_parts(registered: object) -> HandlerParts | None:
    """What a `Handler`, or the function that the SDK's own calls, was made of, if by resaga."""
    parts = getattr(registered, _PARTS, None)
    return parts if isinstance(parts, HandlerParts) else None


Definition: TypeAlias = restate.Service | restate.VirtualObject | restate.Workflow
"""One of Restate's definitions."""

Register: TypeAlias = Callable[..., Callable[[Any], Any]]
"""A method of a definition that makes decorators for handlers: ``handler``, ``main``."""


_NO_INPUT = (b"", b"null")
"""The bodies that a handler without input takes."""


class _InputSerde(Serde[Any]):
    """Encodes for callers in process; the handler itself decodes, so that it can answer 400.

    A handler without input is sent nothing: the ingress refuses a body there, ``null`` too.
    """

    def __init__(self, body: Body[Any, Any]) -> None:
        self._codec = body.input
        self._takes_input = body.takes_input

    def serialize(self, obj: Any) -> bytes:
        return self._codec.encode(obj) if self._takes_input else b""

    def deserialize(self, buf: bytes) -> Any:
        return buf


class _OutputSerde(Serde[Any]):
    """Encodes what the saga returns, and decodes it for callers in process."""

    def __init__(self, codec: Codec[Any], where: str) -> None:
        self._codec = codec
        self._where = where

    def serialize(self, obj: Any) -> bytes:
        try:
            return self._codec.encode(obj)
        except CodecError as exc:
            raise CodecError(
                f"{self._where} returned what its annotation does not admit: {exc}. The saga is "
                "done and stays so; deploy code that returns the declared type."
            ) from exc

    def deserialize(self, buf: bytes) -> Any:
        return self._codec.decode(buf)


class Handler(Generic[In_contra, Out_co]):
    """A handler of a definition, to be given to the SDK's clients.

    ``await ctx.service_call(checkout.run, order)`` and ``create_client(...)`` take it like a
    function of the SDK's own, with its types.

    Attributes:
        service: Name of the definition.
        name: Name of the handler on the wire.
    """

    def __init__(self, fn: Callable[..., Awaitable[Any]], *, service: str, name: str) -> None:
        self._fn = fn
        self.service = service
        self.name = name
        self.__doc__ = fn.__doc__
        # The SDK looks for its own description of a handler in the callable's __dict__.
        vars(self).update(vars(fn))

    @overload
    def __call__(self: Handler[None, Out], ctx: object, /) -> Coroutine[object, Never, Out]: ...
    @overload
    def __call__(self, ctx: object, argument: In_contra, /) -> Coroutine[object, Never, Out_co]: ...
    def __call__(
        self, _ctx: object, _argument: object = None, /
    ) -> Coroutine[object, Never, object]:
        """Refuse to be called: this is here for the types, which the SDK's clients look at.

        Raises:
            MisuseError: Always; Restate calls handlers.
        """
        raise MisuseError(
            f"{self.service}.{self.name} was called as a function. Restate calls handlers; from a "
            f"saga use ctx.service_call({self.service}.{self.name}, ...), or run_as_step."
        )

    def __repr__(self) -> str:
        return f"<Handler {self.service}/{self.name}>"


def open_handler(
    register: Register,
    definition: Definition,
    body: Body[Any, Any],
    options: SagaOptions,
    *,
    name: str,
    workflow: str,
    **handler_options: Any,
) -> Handler[Any, Any]:
    """Register a saga as a handler of one of Restate's definitions.

    Args:
        register: The SDK's decorator-maker for handlers of the kind.
        definition: The definition.
        body: The user's function.
        options: resaga's own options of the handler.
        name: Its name on the wire.
        workflow: What messages and events call the saga by.
        **handler_options: The SDK's.
    """
    running = Running()

    async def attempt(ctx: Context, raw: bytes) -> Any:
        return await _attempt(ctx, raw, body, options, running, workflow)

    told: dict[str, str] = handler_options.pop("metadata", None) or {}
    metadata = {**told, SAGA_MARK: "saga"}
    return _open(
        register,
        definition,
        HandlerParts(body=body, options=options),
        attempt,
        name=name,
        metadata=metadata,
        **handler_options,
    )


def open_shared_handler(
    register: Register,
    definition: Definition,
    body: Body[Any, Any],
    mapper: ErrorMapper | None,
    *,
    name: str,
    **handler_options: Any,
) -> Handler[Any, Any]:
    """Register a function without a saga: a shared handler, a signal, a query.

    Its input is refused as a saga's is (R22), and its errors are mapped alike (R3); else it is a
    handler of the SDK's as any other. `open_handler` says what the arguments are.
    """

    async def attempt(ctx: Context, raw: bytes) -> Any:
        value = _decode(raw, body, fresh=is_fresh(ctx)) if body.takes_input else None
        try:
            return await body.call(None, ctx, value)
        except BaseException as exc:
            terminal = terminal_of(exc, mapper)
            if terminal is not None:
                raise_terminal(carriable_terminal(terminal))
            raise_reportable(exc, where=f"The code of {body.where}")

    parts = HandlerParts(body=body, options=None)
    return _open(register, definition, parts, attempt, name=name, **handler_options)


def _open(
    register: Register,
    definition: Definition,
    parts: HandlerParts,
    attempt: Callable[[Context, bytes], Awaitable[Any]],
    *,
    name: str,
    **handler_options: Any,
) -> Handler[Any, Any]:
    body = parts.body

    async def with_input(ctx: Context, raw: bytes) -> Any:
        return await attempt(ctx, raw)

    async def without_input(ctx: Context) -> Any:
        if is_fresh(ctx) and ctx.request().body not in _NO_INPUT:
            raise TerminalError(f"{body.where}: expected no input", 400)
        return await attempt(ctx, b"")

    fn = with_input if body.takes_input else without_input
    fn.__doc__ = body.fn.__doc__
    setattr(fn, _PARTS, parts)  # The SDK's wrapper and the `Handler` get it with its __dict__.
    decorate = register(
        name=name,
        input_serde=_InputSerde(body),
        output_serde=_OutputSerde(body.output, body.where),
        **handler_options,
    )
    registered = decorate(fn)
    _declare_types(handler_from_callable(registered).handler_io, body)
    return Handler(registered, service=definition.name, name=name)


def _declare_types(io: HandlerIO[Any, Any], body: Body[Any, Any]) -> None:
    """Put the codecs' own JSON schemas into discovery (R22)."""
    if body.takes_input:
        io.input_type = TypeHint(annotation=bytes, generate_json_schema=body.input.schema)
    else:
        # Not `is_void`: the ingress would refuse a content type then, and Restate's clients in
        # other languages send one with an empty body, too.
        io.input_type = TypeHint()
    if body.output.declared in (None, type(None)):
        io.output_type = TypeHint(is_void=True)
    else:
        io.output_type = TypeHint(annotation=bytes, generate_json_schema=body.output.schema)


async def _attempt(
    ctx: Context,
    raw: bytes,
    body: Body[Any, Any],
    options: SagaOptions,
    running: Running,
    workflow: str,
) -> Any:
    journal = Journal(ctx, running, deadline=options.deadline)
    if journal.ctx.handler.explicit_recovery:
        _refuse_explicit_recovery(workflow)
    value = _decode(raw, body, fresh=journal.fresh) if body.takes_input else None
    request = SagaRequest(
        input=value,
        headers=dict(journal.ctx.invocation.headers),
        saga_id=journal.saga_id,
        key=journal.ctx.invocation.key or None,
    )
    where = f"saga {workflow} ({journal.saga_id})"
    try:
        async with (
            nullcontext(options.services)
            if options.services_from is None
            else open_services(options.services_from, request, fresh=journal.fresh, where=where)
        ) as services:
            attempt = Attempt(
                journal=journal,
                workflow=workflow,
                services=services,
                mappers=(options.as_terminal_error,),
                observers=options.observers,
                max_result_size=options.max_result_size,
                scheduler=Scheduler(journal),
                interceptor=None if options.intercept is None else options.intercept(request),
                scopes=scopes_of(options.services_from),
            )

            async def run(line: Line) -> Any:
                return await body.call(Saga(attempt, line), journal.ctx, value)

            return await drive(attempt, run)
    except BaseException as exc:
        # What a provider raises comes by here, too.
        raise_reportable(exc, where=f"The services or the code of {where}")


def _decode(raw: bytes, body: Body[Any, Any], *, fresh: bool) -> Any:
    try:
        return body.input.decode(raw)
    except CodecError as exc:
        if fresh:
            raise TerminalError(f"{body.where}: {exc}", 400) from None
        raise CodecError(
            f"The input of {body.where} no longer fits its type: {exc}. The invocation has begun, "
            "so it cannot be refused any more. Deploy code that reads the input of those in "
            "flight; Restate tries again."
        ) from exc


class KeepsJournal:
    """What all definitions with sagas have in common: the journal is not given up (R21)."""

    @property
    def explicit_recovery(self) -> bool:
        """Never: a saga needs its journal (R21)."""
        return False

    @explicit_recovery.setter
    def explicit_recovery(self, value: bool) -> None:
        if value:
            _refuse_explicit_recovery(cast("Definition", self).name)


def _refuse_explicit_recovery(workflow: str) -> Never:
    """Refuse the SDK's preview that gives up the journal on a retry (R21)."""
    raise MisuseError(
        f"{workflow} has explicit_recovery: a retried attempt would start with an empty journal, "
        "and what earlier attempts did would never be undone. A saga needs its journal; take "
        "explicit_recovery away."
    )
