"""One saga of one contender, from its start to its end, and what may be done to it meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from chaos.compare.ledger import Behaviour, Ledger
from resaga.server import RestateServer, Worker

__all__ = ["Ending", "Hang", "Run"]

FOR_EVER = 8
"""After how many failed attempts in a row a saga counts as retried for ever; no scenario makes one
fail more than twice."""

FORGIVEN = 50
"""How many failed attempts more are put down to a process that was killed, and is soon back."""

PATIENCE = 1.5
"""Seconds that a request stays in flight after a cancel, if nothing comes of the cancel sooner."""

LIMIT = 90.0
"""Seconds after which something counts as hung."""

POLL = 0.03

CONFLICT = 409
"""The admin API's answer for an invocation that has ended."""


class Hang(Exception):
    """Something that had to happen did not, or not within `LIMIT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a saga ended, and what is left of it.

    Attributes:
        code: The error code it ended with; None if it succeeded, or has not ended.
        text: Its answer, or its error's message, or why it is retried.
        for_ever: Whether it is retried for ever.
        hung: Whether it neither ends nor is retried.
        effects: The actions that had their effect, in that order.
        requests: How often the shop was asked for each action.
    """

    code: int | None = None
    text: str = ""
    for_ever: bool = False
    hung: bool = False
    effects: list[str]
    requests: Counter[str]


class Run:
    """A saga that runs on a server, as its caller, its operator and the shop see it."""

    def __init__(
        self, *, server: RestateServer, worker: Worker, ledger: Ledger, http: httpx.AsyncClient
    ) -> None:
        """Nothing is started yet."""
        self.order_id = uuid4().hex
        self._server = server
        self._worker = worker
        self._ledger = ledger
        self._http = http
        self._id = ""
        self._cancels = 0
        self._forgiven = 0

    # -- its caller ------------------------------------------------------------------------------

    async def start(
        self, service: str, order: Mapping[str, object], plan: Mapping[str, Behaviour]
    ) -> None:
        """Place the order, and do not wait for what comes of it."""
        self._ledger.plan(self.order_id, plan)
        answer = await self._ask(
            "POST",
            f"{self._server.ingress_url}/{service}/run/send",
            json={"id": self.order_id, **order},
            headers={"idempotency-key": self.order_id},
        )
        self._id = answer.json()["invocationId"]

    async def ending(self) -> Ending:
        """Wait until it has ended, or is seen to be retried for ever; then it is killed."""
        end = time.monotonic() + LIMIT
        while True:
            row = await self._row()
            failures = int(row.get("retry_count") or 0)
            if row.get("status") == "completed":
                return await self._completed()
            for_ever = failures >= self._forgiven + FOR_EVER
            if for_ever or row.get("status") == "paused" or time.monotonic() > end:
                why = str(row.get("last_failure") or "")
                await self._patch("kill")
                return self._ending(text=why, for_ever=for_ever, hung=not for_ever)
            await asyncio.sleep(POLL)

    async def _completed(self) -> Ending:
        answer = await self._ask(
            "GET", f"{self._server.ingress_url}/restate/invocation/{self._id}/attach"
        )
        if answer.is_success:
            return self._ending(text=answer.text)
        try:
            text = str(answer.json()["message"])
        except (json.JSONDecodeError, KeyError):
            text = answer.text
        return self._ending(code=answer.status_code, text=text)

    def _ending(
        self, *, code: int | None = None, text: str, for_ever: bool = False, hung: bool = False
    ) -> Ending:
        return Ending(
            code=code,
            text=text,
            for_ever=for_ever,
            hung=hung,
            effects=self._ledger.effects(self.order_id),
            requests=self._ledger.requests(self.order_id),
        )

    # -- its operator ----------------------------------------------------------------------------

    async def cancel(self) -> None:
        """Cancel it, and return when the cancel is in its journal, or it has ended."""
        await self._patch("cancel")
        self._cancels += 1

        async def noted() -> bool:
            signals = await self._query(
                f"SELECT id FROM sys_journal WHERE id = '{self._id}' AND entry_type LIKE '%Signal%'"
            )
            return len(signals) >= self._cancels or await self._is_completed()

        await until(noted, "the cancel is in the journal")

    async def reaction(self) -> None:
        """Wait until something has come of the cancel: an undo is asked for, or the saga ended.

        A saga that waits for what is in flight shows nothing, so after `PATIENCE` this is over. A
        contender that would have done something wrong later only looks better by it.
        """
        before = self._ledger.requests(self.order_id).total()
        end = time.monotonic() + PATIENCE

        async def reacted() -> bool:
            asked = self._ledger.requests(self.order_id).total() > before
            return asked or time.monotonic() > end or await self._is_completed()

        await until(reacted, "the saga reacts")

    async def kill_worker(self, action: str) -> None:
        """Kill the worker at once; the shop answers an action; another worker is started."""
        await asyncio.to_thread(self._worker.kill)
        self.answer(action)
        await asyncio.to_thread(self._worker.restart)
        self._forgiven = FORGIVEN

    async def kill_server(self, action: str) -> None:
        """Kill the server at once, and start it again; then the shop answers an action."""
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.restart)
        self.answer(action)
        self._forgiven = FORGIVEN

    # -- the shop --------------------------------------------------------------------------------

    async def held(self, action: str) -> None:
        """Wait until the shop is asked for an action, which it then holds back.

        Raises:
            Hang: The saga ended before, or is retried for ever.
        """

        async def asked() -> bool:
            if self._ledger.requests(self.order_id)[action]:
                return True
            if await self._is_completed():
                raise Hang(f"it ended, and {action} was never asked for")
            return False

        await until(asked, f"{action} is asked for")

    def answer(self, action: str) -> None:
        """Let the shop do what it holds back, and answer whoever asks."""
        self._ledger.answer(self.order_id, action)

    # -- the admin API ---------------------------------------------------------------------------

    async def _is_completed(self) -> bool:
        return (await self._row()).get("status") == "completed"

    async def _row(self) -> dict[str, Any]:
        rows = await self._query(
            f"SELECT status, retry_count, last_failure FROM sys_invocation WHERE id = '{self._id}'"
        )
        return rows[0] if rows else {}

    async def _query(self, sql: str) -> list[dict[str, Any]]:
        answer = await self._ask(
            "POST",
            f"{self._server.admin_url}/query",
            json={"query": sql},
            headers={"accept": "application/json"},
        )
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    async def _patch(self, what: str) -> None:
        await self._ask("PATCH", f"{self._server.admin_url}/invocations/{self._id}/{what}")

    async def _ask(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Ask the server, and again while it is not itself: it may just have been started.

        Raises:
            Hang: That went on for too long; with its last answer.
        """
        end = time.monotonic() + LIMIT
        while True:
            try:
                answer = await self._http.request(method, url, **request)
            except httpx.TransportError as error:
                said = repr(error)
            else:
                of_saga = answer.headers.get("x-restate-error-source") == "invocation"
                if answer.is_success or of_saga or answer.status_code == CONFLICT:
                    return answer
                said = f"{answer.status_code} {answer.text}"
            if time.monotonic() > end:
                raise Hang(f"{method} {url}: {said}")
            await asyncio.sleep(POLL)


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
    """Wait for a condition.

    Raises:
        Hang: It did not come true within `LIMIT`.
    """
    end = time.monotonic() + LIMIT
    while not await condition():
        if time.monotonic() > end:
            raise Hang(f"after {LIMIT:.0f} s still not so: {what}")
        await asyncio.sleep(POLL)
