"""What ``resaga list`` asks a server, and what is said of answers that cannot be read."""

from __future__ import annotations

import re
from typing import Any, cast

import httpx
import pytest

from resaga.cli.inspect.admin import Admin
from resaga.cli.inspect.read import read_list
from resaga.cli.trouble import BadInput

SERVICES = {"services": [{"name": "S", "handlers": [{"name": "run", "metadata": {"resaga": "s"}}]}]}

TIME = "2026-11-24T12:00:00Z"


class Answering(Admin):
    """A server that has rows for the list, and keeps what it is asked."""

    def __init__(self, rows: list[dict[str, Any]], **more: Any) -> None:
        super().__init__("http://127.0.0.1:1", **more)
        self.asked: list[str] = []
        self._rows = rows

    def _send(self, method: str, path: str, *, json: object = None) -> httpx.Response:
        if path == "/services":
            return httpx.Response(200, json=SERVICES)
        if path == "/version":
            return httpx.Response(200, json={"version": "9.0.0"})
        sql = cast("dict[str, str]", json)["query"]
        self.asked.append(sql)
        rows = self._rows if "FROM sys_invocation WHERE" in sql else []
        return httpx.Response(200, json={"rows": rows})


def row(number: int, status: str, **more: str) -> dict[str, Any]:
    """A row of ``sys_invocation``."""
    return {
        "id": f"inv_{number}",
        "target": "S/run",
        "target_service_name": "S",
        "target_handler_name": "run",
        "status": status,
        "created_at": TIME,
        "modified_at": TIME,
        **more,
    }


def test_a_list_asks_for_no_payload() -> None:
    killed = row(3, "completed", completion_failure="[409] killed")
    with Answering([row(1, "running"), row(2, "paused"), killed]) as admin:
        assert len(read_list(admin)) == 3
        assert len(admin.asked) == 4
        for sql in admin.asked:
            # Entries hold payloads, in each of their forms but the events of attempts.
            assert not re.search(r"\b(raw|entry_json|entry_lite_json)\b|SELECT \*", sql), sql
    with Answering([row(1, "completed")]) as admin:
        assert len(read_list(admin)) == 1
        assert len(admin.asked) == 1, "one question is enough where all have ended"


def test_rows_of_another_kind_take_one_line() -> None:
    with (
        Answering([{"id": 7}]) as admin,
        pytest.raises(BadInput, match=r"Restate 9\.0\.0.* cannot read .*newer resaga"),
    ):
        read_list(admin)


@pytest.mark.parametrize("token", ["tökén", "a\nb"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="RESTATE_AUTH_TOKEN") as caught:
        Admin("http://127.0.0.1:1", token=token)
    assert token not in str(caught.value)
