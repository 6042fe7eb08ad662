"""What a test asks of the server beside calling sagas: register, cancel, look, clean up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from resaga.testing.errors import SagaTestError

__all__ = ["Admin"]

TIMEOUT = 30.0


class Admin:
    """The server's admin API, for one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        # `verify=False` loads no certificates: it is plain HTTP to this machine.
        self._http = httpx.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT)  # noqa: S501

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def register(self, address: str) -> str:
        """Make what is served at an address known; gives the deployment's id."""
        answer = await self._http.post(
            f"{self._url}/deployments", json={"uri": address, "force": True}
        )
        if not answer.is_success:
            raise SagaTestError(
                f"The server refused what is served: {answer.status_code} {answer.text}"
            )
        return str(answer.json()["id"])

    async def forget(self, deployment: str) -> None:
        """Make a deployment unknown again."""
        await self._http.delete(f"{self._url}/deployments/{deployment}", params={"force": "true"})

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask one of the server's tables."""
        answer = await self._http.post(
            f"{self._url}/query", json={"query": sql}, headers={"accept": "application/json"}
        )
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    async def kill(self, invocation: str) -> None:
        """End an invocation without a rollback; for what no test waits for any more."""
        await self._http.patch(f"{self._url}/invocations/{invocation}/kill")

    async def kill_all(self, services: Sequence[str]) -> None:
        """End all that these services still have under way."""
        names = ", ".join(f"'{name}'" for name in services)
        for row in await self.query(
            "SELECT id FROM sys_invocation WHERE status <> 'completed' "  # noqa: S608  # checked names
            f"AND target_service_name IN ({names})"
        ):
            await self.kill(row["id"])

    async def standing(self, invocation: str) -> str:
        """Where an invocation stands, in words."""
        rows = await self.query(
            "SELECT status, retry_count, last_failure, "  # noqa: S608  # an id of the server's
            "last_failure_related_command_name AS entry "
            f"FROM sys_invocation WHERE id = '{invocation}'"
        )
        if not rows:
            return "unknown to the server"
        row = rows[0]
        told = str(row["status"])
        if row.get("last_failure"):
            failure = str(row["last_failure"]).splitlines()[0]
            told += f" after {row.get('retry_count')} attempts, the last one failed with: {failure}"
            if row.get("entry"):
                told += f" (at {row['entry']!r})"
        return told

    async def failure_code(self, invocation: str) -> str | None:
        """Restate's code for the failure of the last attempt, if it is to be made again."""
        rows = await self.query(
            "SELECT last_failure_error_code AS code FROM sys_invocation "  # noqa: S608  # an id
            f"WHERE id = '{invocation}'"
        )
        return rows[0].get("code") if rows else None

    def cancel(self, invocation: str) -> None:
        """Cancel an invocation; without waiting, as in a branch nobody may wait for this."""
        with httpx.Client(trust_env=False, verify=False, timeout=TIMEOUT) as http:  # noqa: S501
            http.patch(f"{self._url}/invocations/{invocation}/cancel")
