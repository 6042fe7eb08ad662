"""``resaga check --admin``: the settings that a real server has for sagas."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import restate

from tests.support.checked import write
from tests.support.rig import Rig, open_rig
from tests.support.servers import Servers
from tests.support.terminal import in_pipe

PROGRAM = """
@saga_workflow("{good}")
async def good(saga: Saga, order: Order) -> None:
    await kept(saga, order)


@saga_workflow("{cut_off}")
async def cut_off(saga: Saga, order: Order) -> None:
    await kept(saga, order)


@saga_workflow("{killed}")
async def killed(saga: Saga, order: Order) -> None:
    await kept(saga, order)


@saga_workflow("{other}")
async def other(saga: Saga, order: Order) -> None:
    await kept(saga, order)


@saga_workflow("{silent}")  # resaga: ignore[RS501] known
async def silent(saga: Saga, order: Order) -> None:
    await kept(saga, order)


@saga_workflow("{new}")
async def new(saga: Saga, order: Order) -> None:
    await kept(saga, order)


app = restate.app([good, cut_off, killed, other, silent, new])
"""


@pytest.fixture
async def rig(servers: Servers, tmp_path: Path) -> AsyncIterator[Rig]:
    """One flavour is enough: settings are the same in all."""
    async with open_rig(servers.get("normal"), "normal", tmp_path) as rig:
        yield rig


def killing(name: str) -> restate.Service:
    """What somebody registered by this name who did not know of sagas."""
    policy = restate.InvocationRetryPolicy(max_attempts=3, on_max_attempts="kill")
    service = restate.Service(name, invocation_retry_policy=policy)

    @service.handler()
    async def run(ctx: restate.Context) -> None: ...

    return service


def an_object(name: str) -> restate.VirtualObject:
    made = restate.VirtualObject(name)

    @made.handler()
    async def run(ctx: restate.ObjectContext) -> None: ...

    return made


async def test_settings_of_the_server_that_fight_a_rule(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ("good", "cut_off", "killed", "other", "silent", "new")
    names = {each: rig.name(each.title().replace("_", "")) for each in short}
    module, _ = write(tmp_path, PROGRAM.format(**names))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    program = importlib.import_module(module)
    await rig.serve(
        program.good,
        program.cut_off,
        killing(names["killed"]),
        an_object(names["other"]),
        killing(names["silent"]),
    )
    changes = {
        "abort_timeout": "2s",
        "inactivity_timeout": "1s",
        "journal_retention": "0s",
        "idempotency_retention": "1s",
    }
    async with httpx.AsyncClient(base_url=rig.restate.admin, trust_env=False) as admin:
        answer = await admin.patch(f"/services/{names['cut_off']}", json=changes)
        answer.raise_for_status()
    run = await in_pipe(
        *("check", f"{module}:app", "--admin", rig.restate.admin, "--json"),
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (run.status, run.errors) == (1, "")
    told = json.loads(run.output)
    found = [(each["code"], each["definition"]) for each in told["findings"]]
    assert sorted(found) == sorted(
        [
            ("RS501", names["killed"]),
            ("RS502", names["cut_off"]),
            ("RS503", names["cut_off"]),
            ("RS504", names["cut_off"]),
            ("RS505", names["other"]),
        ]
    )
    assert [each["definition"] for each in told["silenced"]] == [names["silent"]]
    assert told["server"]["address"] == rig.restate.admin
    (note,) = told["server"]["notes"]
    assert note.startswith(f"{names['new']} is not registered at {rig.restate.admin}")


async def test_a_server_that_is_too_old_is_told_so(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"version":"1.3.2"}'
        head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    module, _ = write(tmp_path, "app = restate.app([])")
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        run = await in_pipe(
            *("check", f"{module}:app", "--admin", f"http://127.0.0.1:{port}"),
            env={"PYTHONPATH": str(tmp_path)},
        )
    assert (run.status, run.output) == (2, "")
    assert "is Restate 1.3.2, and this needs 1.7 or newer: upgrade it" in run.errors
    assert run.errors.count("\n") == 1
