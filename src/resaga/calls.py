"""The calls to other handlers of one attempt: what waits for them, cancels them, and makes them.

Measured with restate-sdk 1.3.0 and restate-server 1.7.12: the core cancels the children of calls
by itself when the saga is cancelled, those of sends not. So in a rollback a call is a send and an
attach, which a second cancel does not reach (R8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from restate.context import SendHandle
from restate.serde import Serde
from restate.server_context import ServerCallDurableFuture
from restate.vm import SingleUnresolvedFuture, UnresolvedFuture

from resaga.scope import Shield, current_line
from resaga.seam import SagaContext, ShieldedCall

__all__ = ["Calls"]

T = TypeVar("T")


class Calls:
    """The calls of one attempt that nobody has taken the results of."""

    def __init__(self, ctx: SagaContext) -> None:
        self._ctx = ctx
        self._open: dict[int, tuple[str, ServerCallDurableFuture[Any]]] = {}
        self._late: set[int] = set()
        self._shielded: dict[int, ShieldedCall] = {}

    def __contains__(self, handle: int) -> bool:
        return handle in self._open

    def note(self, future: ServerCallDurableFuture[Any]) -> None:
        """A call was made."""
        self._open[future.handle] = (current_line(), future)

    def note_taken(self, handle: int) -> None:
        """A result went to whoever waited for it; of a call, or of anything else."""
        self._open.pop(handle, None)

    def unanswered(self, prefix: str) -> list[int]:
        """Those of one line of execution that have no result yet (R6).

        Of this line only: what another branch waits for is taken by it, and a result that is
        taken never counts as completed for the core again.
        """
        return [
            handle
            for handle, (line, _) in self._open.items()
            if line.startswith(prefix) and not self._ctx.vm.is_completed(handle)
        ]

    async def cancel(self) -> None:
        """Cancel those without a result, as the core does when the saga is cancelled (R6, R20)."""
        for handle, (_, future) in list(self._open.items()):
            if not self._ctx.vm.is_completed(handle):
                self._late.add(handle)
                await future.cancel_invocation()

    def is_late(self, handle: int) -> bool:
        """Whether `cancel` has cancelled it."""
        return handle in self._late

    def shielded(
        self,
        shield: Shield,
        send: Callable[[str], SendHandle],
        serde: Serde[T],
        key: str | None,
    ) -> ServerCallDurableFuture[T]:
        """Make a call as send and attach (R8).

        Without an idempotency key its result would be gone once the other side has finished, so
        it gets one.
        """
        sent = send(key or shield.next_call_key())
        future = ShieldedCall(self._ctx, sent, len(self._shielded), serde)
        self._shielded[future.handle] = future
        return future

    async def attached(self, wanted: UnresolvedFuture) -> UnresolvedFuture:
        """``wanted`` with the attached invocations in the place of shielded calls."""
        if not self._shielded:
            return wanted
        if isinstance(wanted, SingleUnresolvedFuture):
            shielded = self._shielded.get(wanted.handle)
            if shielded is None:
                return wanted
            return SingleUnresolvedFuture(await shielded.attach())
        return type(wanted)([await self.attached(child) for child in wanted.children])
