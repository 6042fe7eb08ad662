"""The barrier in sagas on a real server, whose workers die, or sleep, at the worst moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import Flavour, Rig, until
from tests.support.bank import (
    BALANCE,
    Order,
    Plan,
    Workers,
    balances,
    moves,
    open_bank,
    repeats,
)
from tests.support.databases.given import Databases, Given, Kind
from tests.support.serving import Protocol
from tests.support.wire import wire_to

pytestmark = pytest.mark.xdist_group("databases")


KINDS: dict[Flavour, Kind] = {
    "normal": "postgresql",
    "replay": "mariadb",
    "serverless": "postgresql",
}


@pytest.fixture
def given(flavour: Flavour, databases: Databases, tmp_path: Path) -> Given:
    """One database or the other; the tests in tests/ext/sql are for all that differs in them."""
    return databases.get(KINDS[flavour], tmp_path)


@contextmanager
def workers(plan: Plan, *, slow: bool = False) -> Generator[Workers]:
    running = Workers(plan, slow=slow)
    try:
        yield running
    finally:
        running.stop()


def plan_of(rig: Rig, url: str, folder: Path) -> Plan:
    protocol: Protocol | None = "request_response" if rig.flavour == "serverless" else None
    return Plan(url, rig.name("Bank"), folder, protocol)


async def test_workers_die_between_commit_and_acknowledgement(
    rig: Rig, given: Given, tmp_path: Path
) -> None:
    """Six deaths in two sagas; each effect happens once all the same."""
    engine = given.engine()
    open_bank(engine, 4)
    plan = plan_of(rig, given.async_url, tmp_path)
    with workers(plan) as bank:
        await rig.restate.register(f"http://127.0.0.1:{bank.port}")
        good = Order(0, 1, 100, dies=("Debit", "Credit"))
        bad = Order(2, 3, 50, fails=True, dies=("Debit", "Credit", "undo Credit", "undo Debit"))
        first = await rig.send(plan.service, vars_of(good))
        second = await rig.send(plan.service, vars_of(bad))
        assert await first.result() == "transferred"
        error = await second.error()
        assert (error.code, error.message) == (409, "refused")
        await until(lambda: bank.deaths == 6, "six deaths are counted")
    assert moves(engine, first.id) == ["Debit", "Credit"]
    assert moves(engine, second.id) == ["Debit", "Credit", "undo Credit", "undo Debit"]
    assert balances(engine) == {0: BALANCE - 100, 1: BALANCE + 100, 2: BALANCE, 3: BALANCE}
    # Each death had one; what died beside another may have had none.
    assert repeats(engine) >= 6


def vars_of(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in Order.__slots__}


async def test_a_stopped_worker_wakes_up_after_the_rollback(
    rig: Rig, given: Given, tmp_path: Path
) -> None:
    """Hanging: its action goes on, finds itself abandoned, and has no effect."""
    engine = given.engine()
    open_bank(engine, 1)
    plan = plan_of(rig, given.url, tmp_path)
    with workers(plan, slow=True) as first, workers(plan, slow=True) as second:
        async with wire_to(first.port) as wire:
            await rig.restate.register(f"http://127.0.0.1:{wire.port}")
            saga = await rig.send(plan.service, "order")
            await until(lambda: rig.ledger.has_flag(f"begun {first.pid}"), "the action has begun")
            os.kill(first.pid, signal.SIGSTOP)
            wire.lead_to(second.port)
            await saga.cancel()
            wire.cut()
            error = await saga.error()
            assert (error.code, error.message) == (409, "cancelled")
            assert moves(engine, saga.id) == []
            rig.ledger.raise_flag("go on")
            os.kill(first.pid, signal.SIGCONT)
            await until(lambda: rig.ledger.count("note abandoned") > 0, "it was abandoned")
            assert rig.ledger.payload("note abandoned") == first.pid
    assert moves(engine, saga.id) == []
