"""Errors as the SDK's state machine can carry them.

Measured with restate-sdk 1.3.0: an exception whose text holds a lone surrogate, a terminal error
whose status code is no 16-bit number or whose message or metadata are no strings, makes the
state machine raise inside the SDK's own error handling, and the invocation then hangs as
``running`` for good. So do an exception whose ``repr`` raises, and a `RetryableError` that is
made of such parts. What leaves an action or a saga passes through here first (R4).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import NoReturn, cast

from restate import TerminalError
from restate.exceptions import RetryableError

from resaga.errors import ResagaError

__all__ = ["UnprintableError", "carriable", "carriable_terminal", "clean_text", "raise_carriable"]


class UnprintableError(ResagaError):
    """Stands for an ordinary exception whose text cannot be sent; Restate retries it."""


def clean_text(text: object) -> str:
    """``text`` as a string that UTF-8 can carry, lone surrogates escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def carriable(exc: BaseException) -> BaseException:
    """``exc`` itself, or what stands for it where the SDK could not report it."""
    if isinstance(exc, TerminalError):
        return carriable_terminal(exc)
    try:
        # The SDK reports both. A `__repr__` is the user's code, and so may raise what it likes:
        # that of a row whose database session is closed, for one.
        "".join((repr(exc), *traceback.format_exception(exc))).encode()
        told = clean_text(exc)
    except Exception:
        return UnprintableError(f"{type(exc).__name__}: {_text_of(exc)}")
    chain = list(_chain(exc))
    # The SDK follows causes until there is none: in a circle, it would block the worker for good.
    circular = chain[-1].__cause__ is not None
    if not circular and all(
        _can_be_delayed(each) for each in chain if isinstance(each, RetryableError)
    ):
        return exc
    return UnprintableError(f"{type(exc).__name__}: {told}")


def raise_carriable(exc: BaseException) -> NoReturn:
    """Raise ``exc``, or what stands for it where the SDK could not report it.

    What stands for it has no context: the SDK reports that, too.
    """
    sendable = carriable(exc)
    if sendable is exc:
        raise exc
    raise sendable from None


def carriable_terminal(error: TerminalError) -> TerminalError:
    """``error`` itself, or its like with message, code and metadata made sendable."""
    message: object = error.message
    code: object = error.status_code
    metadata: object = error.metadata
    if _is_text(message) and _is_code(code) and _is_metadata(metadata):
        return error
    cleaned = TerminalError(
        _text_of(message),
        error.status_code if _is_code(code) else 500,
        _clean_metadata(metadata),
    )
    cleaned.__cause__ = error.__cause__
    return cleaned


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or clean_text(value) == value)


def _is_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF


def _is_metadata(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(
        _is_text(key) and _is_text(each)
        for key, each in cast("dict[object, object]", value).items()
    )


def _clean_metadata(value: object) -> dict[str, str] | None:
    """What can be sent of metadata; what is no mapping is none, and is left out."""
    if not isinstance(value, Mapping):
        return None
    pairs = cast("Mapping[object, object]", value).items()
    return {_text_of(key): _text_of(each) for key, each in pairs}


def _text_of(value: object) -> str:
    """`clean_text`, or what stands for text that cannot be had."""
    try:
        return clean_text(value)
    except Exception as exc:
        return f"<its text raised {type(exc).__name__}>"


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """An exception and its causes, each once; the SDK looks for a `RetryableError` in them."""
    seen: set[int] = set()
    each: BaseException | None = exc
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__


def _can_be_delayed(error: RetryableError) -> bool:
    message: object = error.message
    code: object = error.status_code
    delay = cast("object", error.retry_after)
    return (
        _is_text(message)
        and _is_code(code)
        and (delay is None or (isinstance(delay, timedelta) and delay >= timedelta(0)))
    )
