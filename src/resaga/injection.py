"""The users' functions as they are called: with the services and the parameters of their scope."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, cast

from resaga.action import call, runs_in_thread
from resaga.attempt import Attempt
from resaga.contexts import AnyContext, leave
from resaga.services import StepScopes, injectable, open_step_services
from resaga.signature import Extras

__all__ = ["Code"]


class Code:
    """The function of an action, a compensation, a durable body or a durable compensation.

    It gets a context, the input or data, and what the saga's provider injects by name.

    Attributes:
        fn: The function.
        threaded: Whether it is a plain function, which runs in a thread.

    Args:
        fn: The function.
        given: How many positional parameters it gets at most; those after that are injected.
        where: The function, for messages.
    """

    __slots__ = ("_extras", "_where", "fn", "threaded")

    def __init__(self, fn: Callable[..., Any], *, given: int, where: str) -> None:
        self.fn: Callable[..., Any] = fn
        self.threaded: bool = runs_in_thread(fn)
        self._extras = Extras(fn, given, where=where)
        self._where = where

    def check(self, attempt: Attempt) -> None:
        """Refuse a function that asks for what nobody injects (R21)."""
        if self._extras:
            self.check_for(attempt.scopes, where=attempt.where)

    def check_for(
        self, scopes: StepScopes[Any] | None, *, where: Callable[[str], str] = str
    ) -> None:
        """Refuse a function that asks for what a provider does not inject (R21).

        Args:
            scopes: The provider, if it injects at all.
            where: Adds the saga to what a message calls the function by.
        """
        injectable(scopes, self._extras, where=where(self._where))

    async def in_action(
        self, attempt: Attempt, context: Callable[[object], AnyContext], *given: object, where: str
    ) -> object:
        """Call it as an action, in a scope of its own if the provider opens one.

        Args:
            attempt: The attempt.
            context: Makes its context of its services.
            *given: What it gets after the context.
            where: The call, for messages.
        """
        begin = attempt.journal.begin_thread
        if attempt.scopes is None:
            own = context(attempt.services)
            return await call(
                self.fn, own, *given, where=where, threaded=self.threaded, begin=begin, given=own
            )
        thread = _Thread(begin)
        # The action runs in a task of its own, where no branch would wait for it.
        async with open_step_services(
            attempt.scopes,
            attempt.services,
            injectable(attempt.scopes, self._extras, where=where),
            where=where,
            io=nullcontext,
            before_leaving=thread.over.wait,
        ) as scope:
            own = context(scope.services)
            return await call(
                functools.partial(self.fn, **scope.injected),
                own,
                *given,
                where=where,
                threaded=self.threaded,
                begin=thread.begin,
                given=own,
            )

    async def durably(
        self, attempt: Attempt, context: Callable[[object], AnyContext], *given: object, where: str
    ) -> object:
        """Call it as durable code; else as `in_action`."""
        if attempt.scopes is None:
            return await self._durable(context(attempt.services), given, {})
        async with open_step_services(
            attempt.scopes,
            attempt.services,
            injectable(attempt.scopes, self._extras, where=where),
            where=where,
            io=attempt.journal.io,
            before_leaving=_at_once,
        ) as scope:
            return await self._durable(context(scope.services), given, scope.injected)

    async def _durable(
        self, own: AnyContext, given: tuple[object, ...], injected: Mapping[str, object]
    ) -> object:
        try:
            return await cast("Awaitable[object]", self.fn(own, *given, **injected))
        finally:
            leave(own)


class _Thread:
    """The thread of an action, if it gets one: it goes on when its attempt is over.

    What it works with must not be closed under it.
    """

    def __init__(self, begin: Callable[[], Callable[[], None]]) -> None:
        self._begin = begin
        self.over = asyncio.Event()
        self.over.set()

    def begin(self) -> Callable[[], None]:
        """Note that it begins, as `Running.begin` does."""
        ended = self._begin()
        self.over.clear()

        def end() -> None:
            ended()
            self.over.set()

        return end


async def _at_once() -> None:
    """Durable code runs in no thread."""
