"""What serving in the test's own event loop leaves there when it ends: nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resaga import Saga, StepContext, saga_step, saga_workflow
from resaga.server import RestateServer
from resaga.testing import SagaApp, SagaClient
from resaga.testing.admin import Admin


@pytest.mark.parametrize("where", ["action", "wait", "body"])
async def test_no_attempt_outlives_the_app(restate_server: RestateServer, where: str) -> None:
    """One that went on, or ended by itself later, would hold the event loop at the test's end.

    The SDK takes a cancel of its task for the end of the handler, and waits for the server then.
    """
    reached = asyncio.Event()

    async def for_ever() -> None:
        reached.set()
        await asyncio.Event().wait()

    @saga_step("Waits")
    async def waits(step: StepContext) -> None:
        await for_ever()

    @saga_workflow(f"OutlivesTheApp-{where}")
    async def workflow(saga: Saga) -> None:
        if where == "action":
            await waits(saga)
        elif where == "body":
            await for_ever()
        sleeping = saga.ctx.sleep(timedelta(days=1))
        reached.set()
        await sleeping

    before = asyncio.all_tasks()
    async with SagaApp(restate_server, keep=True) as app:
        await app(workflow)
        run = await SagaClient(app).start(workflow)
        await reached.wait()
        admin = Admin(restate_server.admin_url)
    left = asyncio.all_tasks() - before
    await admin.kill(run.id)
    await admin.close()
    assert not left
