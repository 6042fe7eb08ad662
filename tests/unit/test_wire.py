"""Errors as the SDK's state machine can carry them: no text of an error makes a saga hang (R4)."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate import TerminalError
from restate.exceptions import RetryableError

from resaga import RollbackIncomplete, SagaCancelled
from resaga.wire import (
    UnprintableError,
    carriable,
    carriable_terminal,
    clean_text,
    raise_carriable,
)

BROKEN = "broken \ud800 text"
CLEAN = "broken \\ud800 text"

any_text = st.text(st.characters(codec=None))  # Lone surrogates, too.

# What the type checkers refuse as well is passed through here.
loose_terminal = cast("Callable[..., TerminalError]", TerminalError)
loose_retryable = cast("Callable[..., RetryableError]", RetryableError)


def chained(exc: Exception, *, cause: Exception | None = None) -> Exception:
    """The exception as it is once it has been raised from another one."""
    try:
        raise exc from cause
    except Exception as raised:
        return raised


# -- text ----------------------------------------------------------------------------------------


@given(any_text)
def test_r27_text_can_be_sent_and_stays_as_it_is_if_it_could_be(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        assert "\\ud" in cleaned
    else:
        assert cleaned == text


@pytest.mark.parametrize(("given", "text"), [(BROKEN, CLEAN), (7, "7"), (None, "None"), ("", "")])
def test_r27_anything_becomes_text(given: object, text: str) -> None:
    assert clean_text(given) == text


# -- terminal errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        TerminalError("no"),
        TerminalError("größe 💶", 409, {"ключ": "значение"}),
        TerminalError("", 400, {}),
        TerminalError("no", 0),
        TerminalError("no", 65_535),
        SagaCancelled(),
        RollbackIncomplete(TerminalError("no", 409), []),
    ],
)
def test_a_terminal_error_that_can_be_sent_is_left_alone(error: TerminalError) -> None:
    assert carriable_terminal(error) is error
    assert carriable(error) is error


@pytest.mark.parametrize(
    ("error", "message", "code", "metadata"),
    [
        (TerminalError(BROKEN, 409), CLEAN, 409, None),
        (loose_terminal(7), "7", 500, None),
        (loose_terminal(None, 404), "None", 404, None),
        (TerminalError("no", 65_536), "no", 500, None),
        (TerminalError("no", -1), "no", 500, None),
        (TerminalError("no", 10**30), "no", 500, None),
        (loose_terminal("no", "409"), "no", 500, None),
        (loose_terminal("no", None), "no", 500, None),
        (loose_terminal("no", True), "no", 500, None),
        (loose_terminal("no", 409.0), "no", 500, None),
        (TerminalError("no", 409, {"a": BROKEN}), "no", 409, {"a": CLEAN}),
        (TerminalError("no", 409, {BROKEN: "a"}), "no", 409, {CLEAN: "a"}),
        (loose_terminal("no", 409, {1: None, "b": "b"}), "no", 409, {"1": "None", "b": "b"}),
        (loose_terminal("no", 409, ["a"]), "no", 409, None),
        (loose_terminal("no", 409, "abc"), "no", 409, None),
        (loose_terminal("no", 409, 5), "no", 409, None),
    ],
)
def test_r27_what_cannot_be_sent_is_replaced_and_the_rest_is_kept(
    error: TerminalError, message: str, code: int, metadata: dict[str, str] | None
) -> None:
    for cleaned in (carriable_terminal(error), carriable(error)):
        assert isinstance(cleaned, TerminalError)
        assert (cleaned.message, cleaned.status_code, cleaned.metadata) == (message, code, metadata)
        assert type(cleaned.status_code) is int


def test_r27_what_caused_it_is_kept() -> None:
    cause = ValueError("why")
    error = TerminalError(BROKEN)
    error.__cause__ = cause
    assert carriable_terminal(error).__cause__ is cause


@given(
    st.one_of(any_text, st.integers(), st.none()),
    st.one_of(st.integers(), st.booleans(), st.none(), st.text()),
    st.one_of(
        st.none(),
        st.dictionaries(st.one_of(any_text, st.integers()), st.one_of(any_text, st.none())),
    ),
)
def test_r27_every_terminal_error_can_be_sent(message: Any, code: Any, metadata: Any) -> None:
    cleaned = carriable_terminal(loose_terminal(message, code, metadata))
    cleaned.message.encode()
    assert 0 <= cleaned.status_code <= 0xFFFF
    for key, value in (cleaned.metadata or {}).items():
        key.encode()
        value.encode()
    assert carriable_terminal(cleaned) is cleaned


# -- ordinary errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ValueError("why"),
        KeyError("größe 💶"),
        chained(ValueError("why"), cause=KeyError("because")),
        ExceptionGroup("both", [ValueError("a"), KeyError("b")]),
        RetryableError("later", 503, timedelta(seconds=1)),
        chained(ValueError("why"), cause=RetryableError("later")),
    ],
)
def test_an_ordinary_error_that_can_be_reported_is_left_alone(error: Exception) -> None:
    assert carriable(error) is error


class Detached:
    """Like a row whose database session is closed."""

    def __repr__(self) -> str:
        raise RuntimeError("detached")


class BrokenRepr(ValueError):
    def __repr__(self) -> str:
        return BROKEN


def circular() -> Exception:
    error, other = ValueError("why"), KeyError("because")
    error.__cause__, other.__cause__ = other, error
    return error


def noted() -> Exception:
    """An error whose note cannot be sent; the SDK reports the whole traceback."""
    error = ValueError("why")
    error.add_note(BROKEN)
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(BROKEN),
        noted(),
        chained(ValueError("why"), cause=ValueError(BROKEN)),
        ExceptionGroup("both", [KeyError("a"), ValueError(BROKEN)]),
        ValueError(Detached()),
        ExceptionGroup("both", [KeyError("a"), ValueError(Detached())]),
        BrokenRepr("why"),
        circular(),
        chained(ValueError("why"), cause=circular()),
        loose_retryable("later", 70_000),
        loose_retryable("later", True),
        loose_retryable(7),
        loose_retryable("later", 500, 3),
        RetryableError("later", retry_after=timedelta(seconds=-1)),
        chained(ValueError("why"), cause=loose_retryable("later", "x")),
    ],
)
def test_r27_one_that_cannot_is_replaced_by_one_that_names_it(error: Exception) -> None:
    standing_in = carriable(error)
    assert type(standing_in) is UnprintableError
    assert str(standing_in).startswith(f"{type(error).__name__}: ")
    repr(standing_in).encode()
    "".join(traceback.format_exception(standing_in)).encode()
    assert standing_in.__cause__ is None


def test_r27_what_is_raised_instead_brings_nothing_along_that_cannot_be_sent() -> None:
    """The SDK reports context and cause, too."""
    with pytest.raises(UnprintableError) as raised:
        try:
            raise ValueError(BROKEN)
        except ValueError as exc:
            raise_carriable(exc)
    "".join(traceback.format_exception(raised.value)).encode()


def test_what_can_be_sent_is_raised_as_it_is() -> None:
    error = KeyError("why")
    with pytest.raises(KeyError) as raised:
        raise_carriable(error)
    assert raised.value is error
