"""Waiting for a condition. No test sleeps in the hope that something has happened meanwhile."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")

HANG = 30.0
"""Seconds after which a wait counts as a hang. No test asserts on any other time."""


@overload
async def until(
    condition: Callable[[], Coroutine[Any, Any, T | None]],
    what: str,
    *,
    limit: float = ...,
    every: float = ...,
) -> T: ...
@overload
async def until(
    condition: Callable[[], T | None], what: str, *, limit: float = ..., every: float = ...
) -> T: ...
async def until(
    condition: Callable[[], Any], what: str, *, limit: float = HANG, every: float = 0.015
) -> Any:
    """Ask again until ``condition`` gives something true, and return that.

    Raises:
        AssertionError: It did not within ``limit`` seconds; the message says ``what``.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while True:
        value = condition()
        found = await value if inspect.isawaitable(value) else value
        if found:
            return found
        if loop.time() > end:
            raise AssertionError(f"after {limit:.0f} s still not so: {what} (last: {found!r})")
        await asyncio.sleep(every)
