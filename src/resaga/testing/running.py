"""A saga that was started, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Literal, cast

import httpx
from restate import TerminalError
from restate.serde import Serde
from typing_extensions import TypeVar

from resaga.testing.admin import Admin
from resaga.testing.controls import Recording
from resaga.testing.errors import CaseTimeout, UnknownStep
from resaga.testing.trace import Trace

__all__ = ["LIMIT", "RunningSaga", "SagaRun"]

Out = TypeVar("Out", default=object)

LIMIT = timedelta(seconds=20)
"""How long a run may take, if the test says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRun(Generic[Out]):
    """How a saga ended, and what happened in it.

    Attributes:
        id: The invocation id.
        output: What it returned, ``None`` if it failed.
        error: What its caller gets, if it failed.
        trace: What happened.
        recording: All that was noted, for tools.
    """

    id: str
    output: Out | None
    error: TerminalError | None
    trace: Trace
    recording: Recording

    @property
    def outcome(self) -> Literal["completed", "failed"]:
        """How it ended."""
        return "completed" if self.error is None else "failed"

    @property
    def undone(self) -> list[str]:
        """The steps that had completed and were undone, in the order of that.

        `Trace.compensated` has the steps that failed, too, whose compensation ran.
        """
        completed = {e.path for e in self.trace.once("step", "completed")}
        return [e.step for e in self.trace.once("compensation", "completed") if e.path in completed]

    @property
    def rollback_incomplete(self) -> bool:
        """Whether some compensations failed for good (R10)."""
        metadata = None if self.error is None else self.error.metadata
        return (metadata or {}).get("resaga.rollback") == "incomplete"

    def result(self) -> Out:
        """What it returned.

        Raises:
            TerminalError: What it failed with.
        """
        if self.error is not None:
            raise self.error
        return cast(Out, self.output)


class RunningSaga(Generic[Out]):
    """A saga that was started. ``await running`` waits for its end.

    Attributes:
        id: The invocation id.
        key: The key, of a virtual object or a Restate workflow.
        trace: What has happened so far.
        recording: All that was noted so far, for tools.
    """

    def __init__(
        self,
        *,
        id: str,
        key: str | None,
        service: str,
        recording: Recording,
        output: Serde[Any],
        limit: timedelta,
        admin: Admin,
        http: httpx.AsyncClient,
        ingress_url: str,
    ) -> None:
        self.id = id
        self.key = key
        self.trace: Trace = recording.trace
        self.recording = recording
        self._service = service
        self._output = output
        self._limit = limit
        self._admin = admin
        self._http = http
        self._ingress_url = ingress_url

    def cancel(self) -> None:
        """Cancel it through Restate."""
        self._admin.cancel(self.id)

    async def kill(self) -> None:
        """Kill it: nothing is rolled back."""
        await self._admin.kill(self.id)

    async def standing(self) -> str:
        """Where it stands, as the server sees it."""
        return await self._admin.standing(self.id)

    async def failure_code(self) -> str | None:
        """Restate's code for what its last attempt failed with, while it waits for the next."""
        return await self._admin.failure_code(self.id)

    def __await__(self) -> Generator[Any, Any, SagaRun[Out]]:
        return self.end().__await__()

    async def end(self) -> SagaRun[Out]:
        """Wait for its end; raises what `SagaClient.run` does."""
        url = f"{self._ingress_url}/restate/invocation/{self.id}/attach"
        try:
            answer = await self._http.get(url, timeout=self._limit.total_seconds())
        except httpx.TimeoutException:
            raise await self._timeout() from None
        unreached = self.recording.unreached()
        if unreached:
            named = ", ".join(map(str, unreached))
            came = ", ".join(self.recording.steps) or "no step"
            raise UnknownStep(
                f"{self._service}: the saga never came to the place of these faults: {named}. "
                f"It came to: {came}. Its trace:\n{self.trace}"
            )
        return self._ended(answer)

    def _ended(self, answer: httpx.Response) -> SagaRun[Out]:
        output: Out | None = None
        error: TerminalError | None = None
        if answer.status_code >= 400:
            error = _error_of(answer)
        elif answer.content:
            output = self._output.deserialize(answer.content)
        return SagaRun(
            id=self.id, output=output, error=error, trace=self.trace, recording=self.recording
        )

    async def _timeout(self) -> CaseTimeout:
        standing = await self._admin.standing(self.id)
        await self._admin.kill(self.id)
        return CaseTimeout(
            f"{self._service} ({self.id}) did not end within {self._limit.total_seconds():g} s"
            f"{_planned(self.recording)}. It is {standing}. Its trace until then:\n"
            f"{self.trace or '(no attempt has begun)'}"
        )


def _planned(recording: Recording) -> str:
    return f", with {', '.join(map(str, recording.faults))}" if recording.faults else ""


def _error_of(answer: httpx.Response) -> TerminalError:
    try:
        body: dict[str, Any] = answer.json()
    except json.JSONDecodeError:
        body = {}
    return TerminalError(
        str(body.get("message", answer.text)),
        int(body.get("code", answer.status_code)),
        body.get("metadata"),
    )
