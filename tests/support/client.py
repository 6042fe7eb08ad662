"""Calling Restate as its users and operators do: over the ingress and the admin API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import restate

from tests.support.waiting import HANG, until

Target = restate.Service | restate.VirtualObject | restate.Workflow | str


class RemoteError(Exception):
    """What the ingress answered instead of a result."""

    def __init__(self, response: httpx.Response) -> None:
        try:
            body: dict[str, Any] = response.json()
        except ValueError:
            body = {}
        self.status = response.status_code
        self.code = int(body.get("code", response.status_code))
        self.message = str(body.get("message", response.text))
        self.metadata: dict[str, str] = body.get("metadata") or {}
        self.invocation_id = response.headers.get("x-restate-id", "")
        super().__init__(f"[{self.code}] {self.message} {self.metadata or ''}")


@dataclass(frozen=True, slots=True)
class Attachment:
    """How an invocation ended: with a value, or with an error."""

    value: Any = None
    error: RemoteError | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a journal: a command, and the result of its completion where it has one.

    Attributes:
        index: Its place in the journal.
        type: ``Run``, ``Call``, ``OneWayCall``, ``Sleep``, ``Output``; ``Signal`` for a cancel.
        name: The name of a run, the target of a call, else ``""``.
        value: The decoded result of a run, ``None`` while it has none or if it failed.
        failure: ``{"code": ..., "message": ...}`` if it failed.
        completed: Whether it has a result.
        raw: The journaled bytes of the value.
    """

    index: int
    type: str
    name: str
    value: Any = None
    failure: dict[str, Any] | None = None
    completed: bool = False
    raw: bytes = field(default=b"", repr=False)


class Restate:
    """One server: its ingress and its admin API."""

    def __init__(self, http: httpx.AsyncClient, ingress: str, admin: str) -> None:
        self.http = http
        self.ingress = ingress
        self.admin = admin

    async def sql(self, query: str) -> list[dict[str, Any]]:
        """Ask the admin API."""
        response = await self.http.post(
            f"{self.admin}/query", json={"query": query}, headers={"accept": "application/json"}
        )
        assert response.status_code == 200, response.text
        rows: list[dict[str, Any]] = response.json()["rows"]
        return rows

    async def register(self, uri: str) -> str:
        """Register a deployment; its id."""
        response = await self.http.post(
            f"{self.admin}/deployments", json={"uri": uri, "force": True}
        )
        assert response.status_code in (200, 201), response.text
        deployment: str = response.json()["id"]
        return deployment

    def path(self, target: Target, key: str | None = None, handler: str = "run") -> str:
        """The path of a handler at the ingress."""
        name = target if isinstance(target, str) else target.name
        parts = [name, handler] if key is None else [name, key, handler]
        return "/".join(quote(part, safe="") for part in parts)

    async def post(
        self,
        target: Target,
        value: object = None,
        *,
        key: str | None = None,
        handler: str = "run",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        suffix: str = "",
    ) -> httpx.Response:
        """Send a request to the ingress; ``content`` sends these very bytes as JSON."""
        path = f"{self.ingress}/{self.path(target, key, handler)}{suffix}"
        sent: dict[str, str] = dict(headers or {})
        if content is None and value is not None:
            content = json.dumps(value).encode()
        if content is not None:
            sent.setdefault("content-type", "application/json")
        try:
            return await self.http.post(path, content=content, headers=sent, timeout=HANG)
        except httpx.ReadTimeout:
            begun = [await i.diagnosis() for i in await self.invocations(target)]
            raise AssertionError(f"no answer after {HANG:.0f} s: {begun}") from None

    async def call(self, target: Target, value: object = None, **how: Any) -> Any:
        """Call a handler and return its decoded output; `post` says how.

        Raises:
            RemoteError: It ended in an error.
        """
        return _output(await self.post(target, value, **how))

    async def fail(self, target: Target, value: object = None, **how: Any) -> RemoteError:
        """Call a handler that has to end in an error, and return that."""
        response = await self.post(target, value, **how)
        assert response.status_code >= 400, f"it did not fail: {response.text}"
        return RemoteError(response)

    async def send(self, target: Target, value: object = None, **how: Any) -> Invocation:
        """Start a handler and do not wait for it."""
        response = await self.post(target, value, suffix="/send", **how)
        assert response.status_code in (200, 202), response.text
        return Invocation(self, response.json()["invocationId"])

    async def invocations(self, target: Target) -> list[Invocation]:
        """All invocations of a service, oldest first."""
        name = target if isinstance(target, str) else target.name
        rows = await self.sql(
            f"SELECT id FROM sys_invocation WHERE target_service_name = '{name}' "
            "ORDER BY created_at"
        )
        return [Invocation(self, row["id"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation, as an operator sees it."""

    server: Restate = field(repr=False)
    id: str

    async def attach(self, *, limit: float = HANG) -> Attachment:
        """Wait for its end."""
        try:
            response = await self.server.http.get(
                f"{self.server.ingress}/restate/invocation/{self.id}/attach", timeout=limit
            )
        except httpx.ReadTimeout:
            raise AssertionError(f"no end after {limit:.0f} s: {await self.diagnosis()}") from None
        if response.status_code >= 400:
            return Attachment(error=RemoteError(response))
        return Attachment(value=_output(response))

    async def result(self) -> Any:
        """Its output; raises `RemoteError` if it failed."""
        end = await self.attach()
        if end.error is not None:
            raise end.error
        return end.value

    async def error(self) -> RemoteError:
        """The error it ended with; it has to."""
        end = await self.attach()
        assert end.error is not None, f"it did not fail: {end.value!r}"
        return end.error

    async def row(self) -> dict[str, Any]:
        """Its row of `sys_invocation`, without the columns that are null."""
        rows = await self.server.sql(f"SELECT * FROM sys_invocation WHERE id = '{self.id}'")
        return {k: v for k, v in (rows[0] if rows else {}).items() if v is not None}

    async def diagnosis(self) -> str:
        """Where it stands, for the message of a test that waits in vain."""
        row = await self.row()
        told = {
            name: row[name]
            for name in ("target", "status", "retry_count", "last_failure", "completion_failure")
            if name in row
        }
        lines = [f"{e.index} {e.type} {e.name} {e.completed}" for e in await self.journal()]
        return "\n  ".join([f"{told}", *lines])

    async def status(self) -> str:
        """``running``, ``suspended``, ``backing-off``, ``paused``, ``completed``, ``gone``."""
        rows = await self.server.sql(f"SELECT status FROM sys_invocation WHERE id = '{self.id}'")
        return rows[0]["status"] if rows else "gone"

    async def until_status(self, *wanted: str) -> None:
        """Wait until it has one of these statuses."""

        async def there() -> bool:
            return await self.status() in wanted

        await until(there, f"{self.id} is {' or '.join(wanted)}")

    async def journal(self) -> list[Entry]:
        """The commands of its journal in order, each with its result, and the signals."""
        rows = await self.server.sql(
            "SELECT index, entry_type, name, entry_json FROM sys_journal "
            f"WHERE id = '{self.id}' ORDER BY index"
        )
        return _entries(rows)

    async def failures(self) -> list[str]:
        """What its attempts that failed have said, in order."""
        rows = await self.server.sql(
            "SELECT event_json FROM sys_journal_events "
            f"WHERE id = '{self.id}' AND event_type = 'TransientError' ORDER BY appended_at"
        )
        return [json.loads(row["event_json"])["error_message"] for row in rows]

    async def runs(self) -> list[str]:
        """The names of the runs in its journal, in order."""
        return [entry.name for entry in await self.journal() if entry.type == "Run"]

    async def until_entry(self, name: str, *, completed: bool = False) -> Entry:
        """Wait until a run of this name is in the journal, or even completed there."""

        async def there() -> Entry | None:
            for entry in await self.journal():
                if entry.name == name and (entry.completed or not completed):
                    return entry
            return None

        return await until(there, f"{name!r} is in the journal of {self.id}")

    async def patch(self, what: str, query: str = "") -> None:
        """One of the operator's actions."""
        response = await self.server.http.patch(
            f"{self.server.admin}/invocations/{self.id}/{what}{query}"
        )
        assert response.status_code < 300, f"{what}: {response.status_code} {response.text}"

    async def signals(self) -> int:
        """How many cancels are in its journal."""
        return sum(entry.type == "Signal" for entry in await self.journal())

    async def cancel(self) -> None:
        """Cancel it, and wait until the cancel is in its journal (or the invocation is over)."""
        before = await self.signals()
        await self.patch("cancel")

        async def there() -> bool:
            return await self.signals() > before or await self.status() == "completed"

        await until(there, f"the cancel is in the journal of {self.id}")

    async def kill(self) -> None:
        """Kill it: nothing is rolled back."""
        await self.patch("kill")

    async def purge(self) -> None:
        """Purge it, once it is completed."""
        await self.patch("purge")

    async def pause(self) -> None:
        """Pause it."""
        await self.patch("pause")

    async def resume(self, deployment: str | None = None) -> None:
        """Resume it after a pause, or at once instead of later while it is backing off."""
        await self.patch("resume", f"?deployment={deployment}" if deployment else "")


def _output(response: httpx.Response) -> Any:
    if response.status_code >= 400:
        raise RemoteError(response)
    return response.json() if response.content else None


def _entries(rows: list[dict[str, Any]]) -> list[Entry]:
    commands: list[tuple[int, str, str, int | None]] = []
    results: dict[int, dict[str, Any] | str] = {}
    for row in rows:
        entry: dict[str, Any] = json.loads(row["entry_json"])
        if "Command" in entry:
            ((kind, body),) = _tagged(entry["Command"])
            name = row["name"] or _target(body)
            completion = body.get("completion_id", body.get("result_completion_id"))
            commands.append((row["index"], kind, name, completion))
        else:
            ((kind, body),) = _tagged(entry["Notification"])
            if kind == "Signal":
                commands.append((row["index"], "Signal", "", None))
            else:
                ((_, completion),) = _tagged(body)
                if "result" in completion:
                    results[completion["completion_id"]] = completion["result"]
                else:
                    results.setdefault(completion["completion_id"], "Void")
    return [
        Entry(index, kind, name)
        if completion is None or completion not in results
        else _completed(index, kind, name, results[completion])
        for index, kind, name, completion in commands
    ]


def _tagged(value: dict[str, Any] | str) -> list[tuple[str, dict[str, Any]]]:
    return [(value, {})] if isinstance(value, str) else list(value.items())


def _target(body: dict[str, Any]) -> str:
    target: Any = body.get("request", {}).get("invocation_target", "")
    return target if isinstance(target, str) else json.dumps(target)


def _completed(index: int, kind: str, name: str, result: dict[str, Any] | str) -> Entry:
    if isinstance(result, str):
        return Entry(index, kind, name, completed=True)
    if "Failure" in result:
        return Entry(index, kind, name, failure=result["Failure"], completed=True)
    raw = bytes(result["Success"]) if isinstance(result.get("Success"), list) else b""
    try:
        value = json.loads(raw) if raw else None
    except ValueError:
        value = raw
    return Entry(index, kind, name, value=value, completed=True, raw=raw)
