"""Faults at named points, on a real server, through the pytest plugin."""

from __future__ import annotations

import struct
from datetime import timedelta
from typing import Any

import pytest

from resaga.testing import (
    CaseTimeout,
    SagaApp,
    SagaClient,
    UnknownStep,
    cancel,
    error,
    fail,
    hang,
    lose_worker,
    permanent_failure,
    slow,
    unserialisable,
)
from resaga.testing.connection import Connection
from tests.testing.shop import WORLD, charge, reserve, shop, side_by_side


@pytest.fixture(autouse=True)
def _clean_world() -> None:
    WORLD.effects.clear()
    WORLD.log.clear()


async def test_signals_are_counted_however_messages_are_cut() -> None:
    message = struct.Struct(">HHI")
    signal, result = message.pack(0xFBFF, 0, 4) + b"\x10\x01\x22\x00", message.pack(0x8011, 0, 0)
    sent = signal + result + message.pack(0x8011, 0, 3) + b"abc" + signal
    for size in range(1, len(sent) + 1):
        parts = [sent[at : at + size] for at in range(0, len(sent), size)]

        async def receive(parts: list[bytes] = parts) -> dict[str, Any]:
            return {"type": "http.request", "body": parts.pop(0), "more_body": True}

        async def send(_: object) -> None:
            raise NotImplementedError

        connection = Connection(receive, send)
        while parts:
            await connection.receive()
        assert connection.signals == 2


async def test_untouched(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea")
    assert run.result() == 3
    assert run.trace.completed == ("Reserve", "Quote", "Charge")
    assert run.trace.compensated == ()
    assert run.trace.attempts == 1


async def test_fail(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[fail(charge)])
    assert run.error is not None
    assert (run.error.message, run.error.status_code) == ("injected failure", 418)
    assert run.trace.failed == ("Charge",)
    assert run.trace.order == ("Reserve", "Quote", "undo Charge", "undo Reserve")
    assert WORLD.effects == {}
    assert "do charge 3" not in WORLD.log


async def test_fail_after_the_effect(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[fail(charge, after_effect=True)])
    assert run.trace.compensated == ("Charge", "Reserve")
    assert WORLD.log == ["do tea", "do charge 3", "undo charge 3", "undo tea"]


async def test_permanent_failure(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(
        shop, "tea", faults=[permanent_failure(charge, "no", status_code=402)]
    )
    assert run.error is not None
    assert (run.error.message, run.error.status_code) == ("no", 402)


async def test_error_then_fine(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[error("Quote", times=2)])
    assert run.result() == 3
    assert run.trace.started("Quote") == 3
    assert run.trace.replayed.count("Reserve") == run.trace.attempts - 1


async def test_retries_used_up(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[error(charge, times=None, after_effect=True)])
    assert run.trace.compensated == ("Charge", "Reserve")
    assert WORLD.effects == {}


async def test_unserialisable(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[unserialisable(charge)])
    assert run.error is not None
    assert "cannot be journaled" in run.error.message
    assert WORLD.log.count("do charge 3") == 1
    assert WORLD.effects == {}


async def test_slow(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[slow(charge, timedelta(milliseconds=10))])
    assert run.result() == 3


@pytest.mark.parametrize("when", ["before", "during", "after"])
async def test_cancel(saga_app: SagaApp, saga_client: SagaClient, when: str) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[cancel("Quote", when=when)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert run.error is not None
    assert run.error.status_code == 409
    assert "Charge" not in run.trace.completed
    assert "Reserve" in run.trace.compensated
    assert WORLD.effects == {}


async def test_cancel_twice(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[cancel(charge), cancel(charge, undo=True)])
    assert run.trace.compensated == ("Charge", "Reserve")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("when", ["before", "after", "journaled"])
async def test_lose_worker(
    saga_app: SagaApp, saga_client: SagaClient, when: str, times: int
) -> None:
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[lose_worker("Charge", when=when, times=times)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert run.result() == 3
    assert run.trace.attempts == 1 + times
    assert WORLD.log.count("do charge 3") == (1 + times if when == "after" else 1)
    assert WORLD.log.count("do tea") == 1


async def test_compensation_faults(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    run = await saga_client.run(
        shop,
        "tea",
        faults=[
            cancel(charge),
            fail(charge, undo=True),
            lose_worker(reserve, undo=True),
        ],
    )
    assert run.rollback_incomplete
    assert run.trace.left_undone == ("Charge",)
    assert run.trace.compensated == ("Reserve",)
    assert run.trace.started("Reserve", undo=True) == 2


async def test_in_a_gather(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(side_by_side)
    run = await saga_client.run(side_by_side, "tea", faults=[lose_worker(reserve, call=2)])
    assert run.result() == 3
    assert WORLD.log.count("do other") == 2
    run = await saga_client.run(side_by_side, "tea", faults=[cancel(reserve, call=2, when="after")])
    assert run.error is None or run.error.status_code == 409


async def test_unknown_step(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    with pytest.raises(UnknownStep, match=r"fail before Nope.*It came to: Reserve, Quote, Charge"):
        await saga_client.run(shop, "tea", faults=[fail("Nope")])
    with pytest.raises(UnknownStep, match=r"call 2"):
        await saga_client.run(shop, "tea", faults=[fail("Charge", call=2)])


async def test_never_ends(saga_app: SagaApp, saga_client: SagaClient) -> None:
    await saga_app(shop)
    with pytest.raises(
        CaseTimeout, match=r"did not end within 0.5 s, with hang before Charge"
    ) as it:
        await saga_client.run(shop, "tea", faults=[hang(charge)], limit=timedelta(milliseconds=500))
    assert "▸ Charge   started" in str(it.value)
