"""The scope of services: entered and left once, and never able to change how a saga ends (R28)."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest
from restate import TerminalError
from restate.exceptions import SuspendedException
from restate.server_context import DisconnectedException

from resaga import ProviderError, SagaRequest
from resaga.services import open_services

REQUEST = SagaRequest(input=7, headers={"tenant": "acme"}, saga_id="inv_1", key=None)
WHERE = "saga Checkout (inv_1)"
SECRET = "s3cr3t"


def caused_by_terminal() -> Exception:
    """An ordinary error that the SDK would take for a terminal one, for what caused it."""
    error = ConnectionError(SECRET)
    error.__cause__ = TerminalError("no such tenant", 403)
    return error


class Scope:
    """A provider and its scope, that raises what it is told to raise."""

    def __init__(
        self,
        *,
        call: BaseException | None = None,
        enter: BaseException | None = None,
        leave: BaseException | None = None,
        suppress: bool = False,
    ) -> None:
        self._call, self._enter, self._leave = call, enter, leave
        self._suppress = suppress
        self.requests: list[SagaRequest[Any]] = []
        self.entered = 0
        self.left: list[BaseException | None] = []

    def __call__(self, request: SagaRequest[Any]) -> Scope:
        self.requests.append(request)
        if self._call is not None:
            raise self._call
        return self

    async def __aenter__(self) -> str:
        self.entered += 1
        if self._enter is not None:
            raise self._enter
        return "services"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        leaving: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        assert (kind is None) == (leaving is None)
        assert leaving is None or (kind is type(leaving) and trace is leaving.__traceback__)
        self.left.append(leaving)
        if self._leave is not None:
            raise self._leave
        return self._suppress


async def run(scope: Scope, *, fresh: bool, body: BaseException | None = None) -> object:
    """One attempt: its body raises ``body``, or gives the services."""
    async with open_services(scope, REQUEST, fresh=fresh, where=WHERE) as services:
        if body is not None:
            raise body
        return services


@pytest.mark.parametrize("fresh", [True, False])
async def test_r28_a_scope_is_entered_and_left_once(fresh: bool) -> None:
    scope = Scope()
    assert await run(scope, fresh=fresh) == "services"
    assert scope.requests == [REQUEST]
    assert (scope.entered, scope.left) == (1, [None])


# -- the provider fails --------------------------------------------------------------------------

FAILURES: list[Callable[[], Exception]] = [
    lambda: TerminalError("no such tenant", 403),
    caused_by_terminal,
    lambda: ConnectionError(SECRET),
]
KINDS = ["terminal", "caused by a terminal one", "ordinary"]


@pytest.mark.parametrize("failure", FAILURES, ids=KINDS)
@pytest.mark.parametrize("at", ["call", "enter"])
async def test_r28_before_the_journal_has_an_entry_its_error_stands(
    failure: Callable[[], Exception], at: str
) -> None:
    error = failure()
    scope = Scope(call=error if at == "call" else None, enter=error if at == "enter" else None)
    with pytest.raises(type(error)) as raised:
        await run(scope, fresh=True)
    assert raised.value is error
    assert scope.left == [], "what was not entered is not left"


@pytest.mark.parametrize("failure", FAILURES, ids=KINDS)
@pytest.mark.parametrize("at", ["call", "enter"])
async def test_r28_later_it_is_an_ordinary_error_that_names_it(
    failure: Callable[[], Exception], at: str
) -> None:
    """A terminal one, or one in its chain, would contradict the journal for ever."""
    error = failure()
    scope = Scope(call=error if at == "call" else None, enter=error if at == "enter" else None)
    with pytest.raises(ProviderError) as raised:
        await run(scope, fresh=False)
    told = str(raised.value)
    assert f"provider of {WHERE}" in told
    assert type(error).__name__ in told
    assert SECRET not in told
    _assert_no_terminal_cause(raised.value)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("end", [SuspendedException(), DisconnectedException()])
async def test_r04_the_attempts_own_end_goes_on_as_it_is(fresh: bool, end: Exception) -> None:
    with pytest.raises(type(end)) as raised:
        await run(Scope(enter=end), fresh=fresh)
    assert raised.value is end


# -- the saga fails ------------------------------------------------------------------------------

ENDS: list[BaseException] = [
    TerminalError("no", 409),
    ValueError("a hiccup"),
    SuspendedException(),
    DisconnectedException(),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("suppress", [False, True])
async def test_r28_it_sees_what_leaves_the_saga_and_cannot_suppress_it(
    end: BaseException, suppress: bool
) -> None:
    scope = Scope(suppress=suppress)
    with pytest.raises(type(end)) as raised:
        await run(scope, fresh=False, body=end)
    assert raised.value is end
    assert scope.left == [end]


async def test_r28_raising_what_it_was_given_changes_nothing() -> None:
    end = TerminalError("no", 409)
    with pytest.raises(TerminalError) as raised:
        await run(Scope(leave=end), fresh=False, body=end)
    assert raised.value is end


# -- closing fails -------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, TerminalError("no", 409), ValueError("a hiccup")])
@pytest.mark.parametrize("leave", [TerminalError(SECRET), caused_by_terminal()])
async def test_r28_a_terminal_error_of_closing_is_made_ordinary(
    body: BaseException | None, leave: BaseException
) -> None:
    with pytest.raises(ProviderError) as raised:
        await run(Scope(leave=leave), fresh=False, body=body)
    told = str(raised.value)
    assert WHERE in told
    assert SECRET not in told
    _assert_no_terminal_cause(raised.value)


@pytest.mark.parametrize("body", [None, TerminalError("no", 409)])
async def test_an_ordinary_error_of_closing_is_retried(body: BaseException | None) -> None:
    leave = ConnectionError("no database")
    with pytest.raises(ConnectionError) as raised:
        await run(Scope(leave=leave), fresh=False, body=body)
    assert raised.value is leave


@pytest.mark.parametrize("end", [SuspendedException(), DisconnectedException()])
@pytest.mark.parametrize("leave", [TerminalError("no"), ConnectionError("no database")])
async def test_r04_closing_does_not_replace_the_attempts_own_end(
    end: Exception, leave: Exception
) -> None:
    with pytest.raises(type(end)) as raised:
        await run(Scope(leave=leave), fresh=False, body=end)
    assert raised.value is end


def _assert_no_terminal_cause(error: BaseException) -> None:
    """The SDK follows the causes, and ends the invocation when it meets a terminal one."""
    cause = error.__cause__
    while cause is not None:
        assert not isinstance(cause, TerminalError)
        cause = cause.__cause__
    assert "TerminalError: " not in "".join(traceback.format_exception(error))
