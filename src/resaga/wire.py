"""Errors as the SDK's state machine can carry them.

Measured with restate-sdk 1.3.0: an exception whose text holds a lone surrogate, a terminal error
whose status code is no 16-bit number or whose message or metadata are no strings, makes the
state machine raise inside the SDK's own error handling, and the invocation then hangs as
``running`` for good. What leaves an action or a saga passes through here first (R4).
"""

from __future__ import annotations

import traceback
from typing import NoReturn, cast

from restate import TerminalError

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
        "".join(traceback.format_exception(exc)).encode()
    except UnicodeEncodeError:
        return UnprintableError(f"{type(exc).__name__}: {clean_text(exc)}")
    return exc


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
    metadata = cast("dict[object, object] | None", error.metadata)
    if _is_text(message) and _is_code(code) and _is_metadata(metadata):
        return error
    cleaned = TerminalError(
        clean_text(message),
        error.status_code if _is_code(code) else 500,
        None if metadata is None else {clean_text(k): clean_text(metadata[k]) for k in metadata},
    )
    cleaned.__cause__ = error.__cause__
    return cleaned


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or clean_text(value) == value)


def _is_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF


def _is_metadata(value: dict[object, object] | None) -> bool:
    return value is None or all(_is_text(k) and _is_text(v) for k, v in value.items())
