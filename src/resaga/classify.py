"""Is this exception terminal? Cause chains, groups, registered classes, mappers (R1-R4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, TypeAlias, cast

from restate import TerminalError
from restate.exceptions import RetryableError, SdkInternalBaseException
from restate.server_context import DisconnectedException

from resaga.errors import MisuseError, ProviderError, ResagaError
from resaga.validation import describe

__all__ = [
    "ErrorMapper",
    "check_mapper",
    "clear_terminal_errors",
    "get_global_error_mapper",
    "internal_of",
    "raise_ordinary",
    "raise_terminal",
    "register_terminal_errors",
    "set_global_error_mapper",
    "terminal_of",
    "unregister_terminal_errors",
]

ErrorMapper: TypeAlias = Callable[[Exception], TerminalError | None]
"""A pure function: the terminal error that an exception stands for, or ``None`` if it is none.

It is asked again on every replay and must answer the same, so it looks at nothing but the
exception.
"""

_ENDS_THE_ATTEMPT = (
    SdkInternalBaseException,
    DisconnectedException,
    asyncio.CancelledError,
)


class _Registry:
    """The classes registered as terminal, and the global mapper: the one global state there is."""

    def __init__(self) -> None:
        self.codes: dict[type[Exception], int] = {}
        self.mapper: ErrorMapper | None = None

    def lookup(self, exc: Exception) -> int | None:
        """The status code of the most derived registered class of ``exc``."""
        for cls in type(exc).__mro__:
            code = self.codes.get(cls)
            if code is not None:
                return code
        return None


_registry = _Registry()


def register_terminal_errors(
    errors: Iterable[type[Exception]] | Mapping[type[Exception], int],
) -> None:
    """Say that errors of these classes end a saga instead of being retried (R3).

    Holds for all sagas of the process, for errors raised by actions, durable steps and workflow
    bodies, and for subclasses; of several registered classes the most derived one wins. Call it
    where your application starts, the same on every worker: a replay asks it again.

    Args:
        errors: Classes (status code 500), or a mapping of classes to status codes.

    Raises:
        MisuseError: Something in it is no exception class, is a class that Restate or resaga
            needs to be retried, or has a status code outside 400-599.

    Example:
        >>> class OutOfStock(Exception): ...
        >>> register_terminal_errors({OutOfStock: 409})
        >>> unregister_terminal_errors([OutOfStock])
    """
    codes: dict[type[Exception], int] = (
        {**errors} if isinstance(errors, Mapping) else dict.fromkeys(errors, 500)
    )
    for cls, code in codes.items():
        _check_registrable(cls, code)
    _registry.codes.update(codes)


def _check_registrable(cls: object, code: object) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Exception)):
        raise MisuseError(
            f"register_terminal_errors: {cls!r} is no exception class. Give subclasses of "
            "Exception, or a mapping of them to status codes."
        )
    if cls is ResagaError or issubclass(
        cls, (RetryableError, DisconnectedException, MisuseError, ProviderError)
    ):
        raise MisuseError(
            f"register_terminal_errors: {cls.__name__} means that Restate should try again; "
            "resaga never makes it terminal (R4). Register an error of your own."
        )
    if not isinstance(code, int) or isinstance(code, bool) or not 400 <= code <= 599:
        raise MisuseError(
            f"register_terminal_errors: status code {code!r} of {cls.__name__} is no HTTP error "
            "status. Give an int from 400 to 599."
        )


def unregister_terminal_errors(errors: Iterable[type[Exception]]) -> None:
    """Take classes out of the registry again.

    Args:
        errors: The classes; those that are not in the registry are passed over.
    """
    for cls in errors:
        _registry.codes.pop(cls, None)


def clear_terminal_errors() -> None:
    """Empty the registry. The global mapper stays."""
    _registry.codes.clear()


def set_global_error_mapper(mapper: ErrorMapper | None) -> None:
    """Set the mapper that is asked last, for all sagas of the process (R3); ``None`` removes it."""
    check_mapper(mapper, "set_global_error_mapper")
    _registry.mapper = mapper


def check_mapper(mapper: object, where: str) -> None:
    """Refuse what is no mapper, an exception class above all (R21)."""
    if mapper is not None and (isinstance(mapper, type) or not callable(mapper)):
        raise MisuseError(
            f"{where}: {mapper!r} is no error mapper. Give a function of the exception that "
            "returns a TerminalError or None; classes go to register_terminal_errors."
        )


def get_global_error_mapper() -> ErrorMapper | None:
    """The mapper given to `set_global_error_mapper`, if any."""
    return _registry.mapper


def internal_of(exc: BaseException) -> BaseException | None:
    """The exception by which the attempt ends, if ``exc`` is one or is a group that holds one (R4).

    Such an exception goes on as it is: the attempt is over, whatever else happened.
    """
    if isinstance(exc, _ENDS_THE_ATTEMPT):
        return exc
    if isinstance(exc, BaseExceptionGroup):
        for leaf in cast("BaseExceptionGroup[BaseException]", exc).exceptions:
            found = internal_of(leaf)
            if found is not None:
                return found
    return None


def raise_ordinary(exc: BaseException) -> NoReturn:
    """Let an exception that is not terminal go on: the attempt's end as it is, out of its group."""
    internal = internal_of(exc)
    raise exc if internal is None else internal


def raise_terminal(terminal: TerminalError) -> NoReturn:
    """Raise a terminal error found in, or mapped from, the exception that is being handled.

    A plain raise: what is being handled becomes its context, which breaks cycles; as its cause
    it could be a cycle, for the error may stand in that very exception's cause chain.
    """
    raise terminal


def terminal_of(
    exc: BaseException, *mappers: ErrorMapper | None, mapped: bool = True
) -> TerminalError | None:
    """The terminal error that ``exc`` is, is caused by, or is mapped to; ``None`` if it is none.

    Args:
        exc: What was raised.
        *mappers: The step's and the workflow's ``as_terminal_error``, asked in this order (R3).
        mapped: Whether mappers, registered classes and the global mapper are asked at all;
            for errors of compensations they are not.

    Returns:
        The exception itself where it is a `TerminalError`; the first terminal one of its cause
        chain; a group's first leaf's, if every leaf is terminal (R2); or what the first mapper
        that answers says (R3).
    """
    if internal_of(exc) is not None or not isinstance(exc, Exception):
        return None
    if isinstance(exc, ExceptionGroup):
        return _terminal_of_group(cast("ExceptionGroup[Exception]", exc), mappers, mapped=mapped)
    cause: BaseException | None = exc
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, TerminalError):
            return cause
        if isinstance(cause, _ENDS_THE_ATTEMPT):
            return None
        if isinstance(cause, RetryableError):
            break
        cause = cause.__cause__
    if not mapped or isinstance(exc, (RetryableError, MisuseError, ProviderError)):
        return None
    return _map(exc, mappers)


def _terminal_of_group(
    group: ExceptionGroup[Exception], mappers: tuple[ErrorMapper | None, ...], *, mapped: bool
) -> TerminalError | None:
    first: TerminalError | None = None
    for leaf in group.exceptions:
        terminal = terminal_of(leaf, *mappers, mapped=mapped)
        if terminal is None:
            return None
        first = first or terminal
    return first


def _map(exc: Exception, mappers: tuple[ErrorMapper | None, ...]) -> TerminalError | None:
    for mapper in mappers:
        if mapper is not None:
            terminal = _answer(mapper, exc)
            if terminal is not None:
                return terminal
    code = _registry.lookup(exc)
    if code is not None:
        # A validation library's own text quotes the values it refuses (R24).
        return TerminalError(describe(exc) or str(exc) or type(exc).__name__, code)
    if _registry.mapper is not None:
        return _answer(_registry.mapper, exc)
    return None


def _answer(mapper: ErrorMapper, exc: Exception) -> TerminalError | None:
    answer = mapper(exc)
    # What a mapper is annotated with is not what it has to return.
    if answer is None or isinstance(cast("object", answer), TerminalError):
        return answer
    raise MisuseError(
        f"The error mapper {getattr(mapper, '__qualname__', mapper)!s} answered a "
        f"{type(answer).__name__}. Return a TerminalError, or None for an error to be retried."
    )
