"""R25: observers hear of things where they happen, and not again from the journal."""

from __future__ import annotations

from collections import Counter

import pytest
from restate import TerminalError

from resaga import Retry, Saga, SagaEvent, SagaObserver, StepEvent, saga_workflow
from tests.support import Rig, until

HEARS = [
    "on_saga_started", "on_saga_completed", "on_saga_failed",
    "on_step_started", "on_step_completed", "on_step_failed",
    "on_compensation_started", "on_compensation_completed", "on_compensation_failed",
]  # fmt: skip


class Ear(SagaObserver):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, SagaEvent]] = []

    def _hear(self, method: str, event: SagaEvent) -> None:
        self.events.append((method.removeprefix("on_"), event))

    @property
    def told(self) -> list[str]:
        return [
            f"{method} {event.step}" + (" again" if event.retried else "")
            if isinstance(event, StepEvent)
            else method
            for method, event in self.events
        ]


for hears in HEARS:

    def hear(self: Ear, event: SagaEvent, method: str = hears) -> None:
        self._hear(method, event)

    setattr(Ear, hears, hear)


async def test_r25_a_success(rig: Rig) -> None:
    ear = Ear()
    a, d = rig.step("A"), rig.step("D", durable=True)

    @saga_workflow(rig.name("Heard"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga, 2)

    await rig.serve(workflow)
    await rig.call(workflow)
    assert list(dict.fromkeys(ear.told)) == [
        "saga_started",
        "step_started A",
        "step_completed A",
        "step_started D",
        "step_completed D",
        "saga_completed",
    ]
    counted = Counter(ear.told)
    # The end of durable code and of the saga has no entry, so that a replay may tell it again.
    del counted["step_completed D"], counted["saga_completed"]
    assert counted == {
        "saga_started": 1,
        "step_started A": 1,
        "step_completed A": 1,
        "step_started D": 1,
    }, "what the journal held is not told again"
    by_name = {told: event for told, (_, event) in zip(ear.told, ear.events, strict=True)}
    started, completed = by_name["step_started A"], by_name["step_completed A"]
    assert isinstance(started, StepEvent)
    assert isinstance(completed, StepEvent)
    assert (started.outcome, completed.outcome) == (None, "completed")
    assert (started.path, completed.path) == ("1", "1")


async def test_r25_a_rollback(rig: Rig) -> None:
    ear = Ear()
    a, d = rig.step("A"), rig.step("D", durable=True)
    b = rig.step("B", fails=TerminalError("no", 409), undo_fails=TerminalError("stuck", 500))

    @saga_workflow(rig.name("RolledBack"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga, 2)
        await b(saga, 3)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert list(dict.fromkeys(ear.told)) == [
        "saga_started",
        "step_started A",
        "step_completed A",
        "step_started D",
        "step_completed D",
        "step_started B",
        "step_failed B",
        "compensation_started B",
        "compensation_failed B",
        "compensation_started D",
        "compensation_completed D",
        "compensation_started A",
        "compensation_completed A",
        "saga_failed",
    ]
    counted = Counter(ear.told)
    # Durable code has no entry for its end.
    del counted["step_completed D"], counted["compensation_completed D"], counted["saga_failed"]
    assert set(counted.values()) == {1}, counted
    by_name = dict(ear.events)
    failed = by_name["step_failed"]
    assert isinstance(failed, StepEvent)
    assert (failed.outcome, failed.path, str(failed.error)) == ("failed", "3", "no")
    assert str(by_name["saga_failed"].error) == error.message
    assert by_name["saga_started"].workflow == workflow.name


async def test_r25_event_ids_tell_repeats(rig: Rig) -> None:
    ear = Ear()
    a = rig.step("A", fails=lambda n: ValueError("a hiccup") if n < 3 else None)
    b = rig.step("B", fails=TerminalError("no"), undo_fails=lambda n: KeyError() if n < 2 else None)

    @saga_workflow(rig.name("Repeats"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    await rig.fail(workflow)
    counted = Counter(ear.told)
    assert counted["step_started A"] == 3
    assert counted["step_failed A again"] == 2
    assert counted["step_completed A"] == 1
    assert counted["compensation_failed B again"] == 1
    ids: dict[str, set[str]] = {}
    for told, (_, event) in zip(ear.told, ear.events, strict=True):
        ids.setdefault(told, set()).add(event.event_id)
        assert event.saga_id in event.event_id
    assert all(len(each) == 1 for each in ids.values()), "a repeat has the id it had"
    every = {event_id for each in ids.values() for event_id in each}
    assert len(every) == len(ids), "two events never share one"


async def test_r25_nothing_of_a_saga_is_told_twice_once_it_has_an_entry(rig: Rig) -> None:
    """A body that fails over and over is replayed in full each time."""
    ear = Ear()
    a, d = rig.step("A"), rig.step("D", durable=True)
    hiccups: list[int] = []

    @saga_workflow(rig.name("OverAndOver"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga, 2)
        if len(hiccups) < 4:
            hiccups.append(1)
            raise ValueError("a hiccup")

    await rig.serve(workflow)
    await rig.call(workflow)
    counted = Counter(ear.told)
    assert counted["saga_started"] == 1
    assert counted["step_started A"] == counted["step_completed A"] == 1
    assert counted["step_started D"] == 1
    assert counted["saga_completed"] == 1


async def test_r25_a_saga_that_fails_before_its_first_entry_is_told_again_by_its_id(
    rig: Rig,
) -> None:
    ear = Ear()
    a = rig.step("A")
    hiccups: list[int] = []

    @saga_workflow(rig.name("Before"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        if len(hiccups) < 2:
            hiccups.append(1)
            raise ValueError("a hiccup")
        await a(saga, 1)

    await rig.serve(workflow)
    await rig.call(workflow)
    started = [event.event_id for method, event in ear.events if method == "saga_started"]
    assert len(started) == 3
    assert len(set(started)) == 1


async def test_r25_events_of_one_step_called_twice_are_told_apart(rig: Rig) -> None:
    ear = Ear()
    a = rig.step("A")

    @saga_workflow(rig.name("Twice"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await a(saga, 1)

    await rig.serve(workflow)
    await rig.call(workflow)
    await rig.call(workflow)
    ids = [event.event_id for told, (_, event) in zip(ear.told, ear.events, strict=True)
           if told == "step_completed A"]  # fmt: skip
    assert len(set(ids)) == len(ids) == 4


async def test_r25_exhausted_retries_are_told_as_unknown(rig: Rig) -> None:
    ear = Ear()
    a = rig.step("A", fails=ValueError("always"), retry=Retry(max_attempts=2))

    @saga_workflow(rig.name("Exhausted"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    await rig.fail(workflow)
    outcomes = [
        event.outcome
        for method, event in ear.events
        if isinstance(event, StepEvent) and method == "step_failed" and not event.retried
    ]
    assert set(outcomes) == {"unknown"}


async def test_r25_a_cancelled_saga_tells_of_the_strict_step_it_does_not_undo(rig: Rig) -> None:
    ear = Ear()
    gate = rig.gate()
    held = rig.step("A", gate=gate)
    strict = rig.step("S", strict=True)

    @saga_workflow(rig.name("Cancelled"), observers=[ear])
    async def workflow(saga: Saga) -> None:
        await held(saga, 1)
        await strict(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    assert (await invocation.error()).code == 409
    await until(lambda: "saga_failed" in ear.told, "the end is told")
    assert "step_completed A" in ear.told
    assert "compensation_completed A" in ear.told


@pytest.mark.parametrize("error", [ValueError("observer"), TerminalError("observer")])
async def test_r25_an_observer_that_raises_breaks_nothing(rig: Rig, error: Exception) -> None:
    class Raises(SagaObserver):
        def on_saga_started(self, event: SagaEvent) -> None:
            raise error

        def on_step_completed(self, event: StepEvent) -> None:
            raise error

    ear = Ear()
    a = rig.step("A")

    @saga_workflow(rig.name("Raises"), observers=[Raises(), ear])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    await rig.call(workflow)
    assert rig.ledger.order() == ["do A"]
    assert {"saga_started", "step_completed A"} <= set(ear.told)
