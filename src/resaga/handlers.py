"""A saga as a handler of Restate: bytes in, one attempt, a value out (R22, R28)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Never, overload

import restate
from restate import TerminalError
from restate.context import Context
from restate.handler import HandlerIO, TypeHint, handler_from_callable
from restate.serde import Serde
from restate.server_context import ServerInvocationContext
from typing_extensions import TypeVar

from resaga.action import Running
from resaga.attempt import Attempt
from resaga.branches import Scheduler
from resaga.classify import ErrorMapper
from resaga.errors import CodecError, MisuseError
from resaga.journal import Journal
from resaga.line import Line
from resaga.observe import SagaObserver
from resaga.policy import DEFAULT_MAX_RESULT_SIZE
from resaga.rollback import drive, raise_reportable
from resaga.saga import Saga
from resaga.serde import Codec, codec_for
from resaga.services import Provider, SagaRequest, open_services
from resaga.signature import check_function, parameters, resolve, returns

__all__ = ["Body", "Handler", "SagaOptions", "open_handler"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaOptions:
    """The options of a definition that are resaga's own.

    Attributes:
        services: An object shared by all its sagas.
        services_from: A provider that builds services for each attempt (R28).
        as_terminal_error: The definition's own mapper (R3).
        observers: Who is told what happens (R25).
        max_result_size: Bytes that one step may leave in the journal (R15).
        deadline: Bounds the forward part (R20).
    """

    services: object = None
    services_from: Provider[Any, object] | None = None
    as_terminal_error: ErrorMapper | None = None
    observers: Sequence[SagaObserver] = ()
    max_result_size: int = DEFAULT_MAX_RESULT_SIZE
    deadline: timedelta | None = None


class Body(Generic[In_contra, Out_co]):
    """The user's function of a saga, with the codecs of what it takes and gives."""

    def __init__(self, fn: Callable[..., Awaitable[Any]], *, where: str, leading: int) -> None:
        check_function(fn, where=where)
        taken = parameters(fn)
        if not leading <= len(taken) <= leading + 1:
            raise MisuseError(
                f"{where} takes {len(taken)} arguments. It gets "
                + ("the saga" if leading == 1 else "the saga and the Restate context")
                + ", and at most one input after that."
            )
        self.fn = fn
        self.where = where
        self.takes_input: bool = len(taken) > leading
        declared = taken[-1].annotation if self.takes_input else None
        self.input: Codec[Any] = codec_for(
            resolve(fn, declared, where=where, what="the input"),
            where=f"the input of {where}",
        )
        self.output: Codec[Any] = codec_for(
            returns(fn, where=where), where=f"the result of {where}"
        )


class _InputSerde(Serde[Any]):
    """Encodes for callers in process; the handler itself decodes, so that it can answer 400."""

    def __init__(self, codec: Codec[Any]) -> None:
        self._codec = codec

    def serialize(self, obj: Any) -> bytes:
        return self._codec.encode(obj)

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
    definition: restate.Service,
    body: Body[Any, Any],
    options: SagaOptions,
    *,
    name: str,
    workflow: str,
    **handler_options: Any,
) -> Handler[Any, Any]:
    """Register a saga as a handler of one of Restate's definitions."""
    running = Running()

    async def with_input(ctx: Context, raw: bytes) -> Any:
        return await _attempt(ctx, raw, body, options, running, workflow)

    async def without_input(ctx: Context) -> Any:
        return await _attempt(ctx, b"", body, options, running, workflow)

    fn = with_input if body.takes_input else without_input
    fn.__doc__ = body.fn.__doc__
    register = definition.handler(
        name=name,
        input_serde=_InputSerde(body.input),
        output_serde=_OutputSerde(body.output, body.where),
        **handler_options,
    )
    registered = register(fn)
    _declare_types(handler_from_callable(registered).handler_io, body)
    return Handler(registered, service=definition.name, name=name)


def _declare_types(io: HandlerIO[Any, Any], body: Body[Any, Any]) -> None:
    """Put the codecs' own JSON schemas into discovery (R22)."""
    if body.takes_input:
        io.input_type = TypeHint(annotation=bytes, generate_json_schema=body.input.schema)
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
    _refuse_explicit_recovery(journal.ctx, workflow)
    value = _decode(journal, raw, body) if body.takes_input else None
    request = SagaRequest(
        input=value,
        headers=dict(journal.ctx.invocation.headers),
        saga_id=journal.saga_id,
        key=journal.ctx.invocation.key or None,
    )
    where = f"saga {workflow} ({journal.saga_id})"
    try:
        async with open_services(
            options.services_from, options.services, request, fresh=journal.fresh, where=where
        ) as services:
            attempt = Attempt(
                journal=journal,
                workflow=workflow,
                services=services,
                mapper=options.as_terminal_error,
                observers=options.observers,
                max_result_size=options.max_result_size,
                scheduler=Scheduler(journal, options.as_terminal_error),
            )

            async def run(line: Line) -> Any:
                saga = Saga(attempt, line)
                return await (body.fn(saga, value) if body.takes_input else body.fn(saga))

            return await drive(attempt, run)
    except BaseException as exc:
        # What a provider raises comes by here, too.
        raise_reportable(exc, where=f"The services or the code of {where}")


def _decode(journal: Journal, raw: bytes, body: Body[Any, Any]) -> Any:
    try:
        return body.input.decode(raw)
    except CodecError as exc:
        if journal.fresh:
            raise TerminalError(f"{body.where}: {exc}", 400) from None
        raise CodecError(
            f"The input of {body.where} ({journal.saga_id}) no longer fits its type: {exc}. The "
            "saga has begun, so it cannot be refused any more. Deploy code that reads the input "
            "of sagas in flight; Restate tries again."
        ) from exc


def _refuse_explicit_recovery(ctx: ServerInvocationContext, workflow: str) -> None:
    if ctx.handler.explicit_recovery:
        refuse_explicit_recovery(workflow)


def refuse_explicit_recovery(workflow: str) -> Never:
    """Refuse the SDK's preview that gives up the journal on a retry (R21)."""
    raise MisuseError(
        f"{workflow} has explicit_recovery: a retried attempt would start with an empty journal, "
        "and what earlier attempts did would never be undone. A saga needs its journal; take "
        "explicit_recovery away."
    )
