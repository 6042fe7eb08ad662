"""R25 and R13 where the worker is killed: events and keys are the same in the next process."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from resaga.server import Worker
from tests.support import Rig, until
from tests.support.crash_app import LEDGER, PROTOCOL, SERVICE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("where", ["do B", "undo B"])
async def test_r25_r13_what_is_repeated_after_a_crash_is_told_by_its_id_and_has_its_key(
    rig: Rig, where: str
) -> None:
    service = rig.name("Scribed")
    env = {LEDGER: str(rig.ledger.path), SERVICE: service}
    if rig.flavour == "serverless":
        env[PROTOCOL] = "request_response"
    async with Worker(app="tests.support.extra_crash:app", cwd=ROOT, env=env) as worker:
        await rig.restate.register(worker.uri)
        invocation = await rig.send(service, where)
        await until(lambda: rig.ledger.has_flag(f"at {where}"), f"the worker is at {where}")
        await asyncio.to_thread(worker.kill)
        rig.ledger.raise_flag(where)
        await asyncio.to_thread(worker.restart)
        error = await invocation.error()
    assert (error.code, error.message) == (409, "no")

    repeated = [effect for effect in rig.ledger.effects() if str(effect) == where]
    assert len({effect.payload for effect in repeated}) == 2, "two processes had the effect"
    assert len({effect.key for effect in repeated}) == 1
    keys = {str(effect): effect.key for effect in rig.ledger.effects() if effect.kind != "note"}
    assert len(set(keys.values())) == len(keys), "no other effect has that key"

    ids: dict[str, set[str]] = {}
    for event in rig.ledger.effects(kind="note"):
        ids.setdefault(event.name, set()).add(event.payload)
    assert all(len(each) == 1 for each in ids.values()), "a repeat has the id it had"
    assert len({each for told in ids.values() for each in told}) == len(ids), (
        "two events never share one"
    )
    again = {"do B": "step_started B", "undo B": "compensation_started B"}[where]
    # Durable code has no result of its own in the journal, so its end may be told again.
    told = Counter(e.name for e in rig.ledger.effects(kind="note") if e.name != "step_completed D")
    assert told == {
        "saga_started": 1,
        "step_started A": 1,
        "step_completed A": 1,
        "step_started D": 1,
        "step_started B": 1,
        "step_completed B": 1,
        "compensation_started B": 1,
        "compensation_completed B": 1,
        "compensation_started A": 1,
        "compensation_completed A": 1,
        "saga_failed": 1,
    } | {again: 2}, "what the journal held is not told again"
