"""R11: a rollback in progress survives the death of the worker, and of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from restate import TerminalError

from resaga import Saga, saga_workflow
from resaga.server import Worker
from tests.support import Flavour, Rig, until
from tests.support.crash_app import LEDGER, PROTOCOL, SERVICE
from tests.support.rig import open_rig
from tests.support.servers import make_server

ROOT = Path(__file__).parents[2]

Crash = Callable[[], Awaitable[None]]


@pytest.mark.parametrize("where", ["do B", "undo B"])
async def test_r11_the_worker_is_killed(rig: Rig, where: str) -> None:
    """SIGKILL after an effect is committed, before it is journaled: it is done again, once."""
    service = rig.name("WorkerCrash")
    env = {LEDGER: str(rig.ledger.path), SERVICE: service}
    if rig.flavour == "serverless":
        env[PROTOCOL] = "request_response"
    async with Worker(app="tests.support.crash_app:app", cwd=ROOT, env=env) as worker:
        await rig.restate.register(worker.uri)
        invocation = await rig.send(service, where)
        await until(lambda: rig.ledger.has_flag(f"at {where}"), f"the worker is at {where}")
        await asyncio.to_thread(worker.kill)
        before = rig.ledger.order()
        assert before[-1] == where
        rig.ledger.raise_flag(where)
        await asyncio.to_thread(worker.restart)
        error = await invocation.error()
    assert (error.code, error.message, error.metadata) == (409, "no", {})
    order = ["do A", "do B", "do C", "undo C", "undo B", "undo A"]
    at = order.index(where)
    assert rig.ledger.order() == [*order[: at + 1], *order[at:]]
    twice = [effect for effect in rig.ledger.effects() if str(effect) == where]
    assert len({effect.key for effect in twice}) == 1
    assert len({effect.payload for effect in twice}) == 2, "two processes"


@pytest.fixture
async def own_rig(flavour: Flavour, tmp_path: Path) -> AsyncIterator[tuple[Rig, Crash]]:
    """A rig on a server of its own, which the test may kill."""
    async with make_server(flavour) as server, open_rig(server, flavour, tmp_path) as rig:

        async def crash() -> None:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)

        yield rig, crash


async def test_r11_the_server_is_killed(own_rig: tuple[Rig, Crash]) -> None:
    rig, crash = own_rig
    gate, undo_gate = rig.gate(), rig.gate()
    a = rig.step("A")
    b = rig.step("B", undo_gate=undo_gate)
    c = rig.step("C")
    d = rig.step("D", durable=True)
    e = rig.step("E", gate=gate)

    @saga_workflow(rig.name("ServerCrash"))
    async def workflow(saga: Saga) -> None:
        for step in (a, b, c, d, e):
            await step(saga, 1)
        raise TerminalError("no", 418)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await invocation.cancel()
    gate.open()
    await undo_gate.reached()
    await crash()
    undo_gate.open()
    error = await invocation.error()
    assert (error.code, error.message, error.metadata) == (409, "cancelled", {})
    undone = rig.ledger.undone()
    # What was in flight when the server died may have been done twice; nothing else was.
    assert list(dict.fromkeys(undone)) == ["E", "D", "C", "B", "A"]
    assert [undone.count(name) for name in "EDCA"] == [1, 1, 1, 1]
    assert [rig.ledger.count(f"do {name}") for name in "ABCDE"] == [1, 1, 1, 1, 1]
