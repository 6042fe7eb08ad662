"""Observers: all are told, none breaks anything, and events can be told apart (R24, R25)."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import itertools
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from restate import TerminalError

from resaga import SagaEvent, SagaObserver, StepEvent
from resaga.attempt import Attempt
from resaga.branches import Scheduler
from resaga.journal import Journal
from resaga.observe import notify

SECRET = "s3cr3t"

EVENT = StepEvent(
    event_id="inv_1/2/on_step_failed",
    saga_id="inv_1",
    workflow="Checkout",
    step="Charge",
    path="2",
    error=ValueError(SECRET),
)

ABOUT_SAGAS = ("on_saga_started", "on_saga_completed", "on_saga_failed")
ABOUT_STEPS = (
    "on_step_started",
    "on_step_completed",
    "on_step_failed",
    "on_compensation_started",
    "on_compensation_completed",
    "on_compensation_failed",
)


class Ear(SagaObserver):
    """Hears of steps that failed and of sagas, and may raise."""

    def __init__(self, error: Exception | None = None) -> None:
        self.heard: list[SagaEvent] = []
        self._error = error

    def _hear(self, event: SagaEvent) -> None:
        self.heard.append(event)
        if self._error is not None:
            raise self._error

    on_step_failed = _hear
    on_step_started = _hear
    on_compensation_failed = _hear
    on_saga_failed = _hear


def attempt_of(*observers: SagaObserver, saga_id: str = "inv_1") -> Attempt:
    """An attempt that knows enough to tell observers."""
    return Attempt(
        journal=cast("Journal", SimpleNamespace(saga_id=saga_id)),
        workflow="Checkout",
        services=None,
        mappers=(),
        observers=observers,
        max_result_size=1,
        scheduler=cast("Scheduler", None),
    )


# -- telling -------------------------------------------------------------------------------------


def test_an_observer_may_hear_of_all_that_happens_and_of_nothing() -> None:
    names = {n for n, _ in inspect.getmembers(SagaObserver, inspect.isfunction) if n[0] != "_"}
    assert names == {*ABOUT_SAGAS, *ABOUT_STEPS}
    for name in names:
        notify([SagaObserver()], name, EVENT)


def test_r25_all_are_told_in_order_whoever_raises() -> None:
    order: list[str] = []

    class Named(SagaObserver):
        def __init__(self, name: str, error: BaseException | None) -> None:
            self._name, self._error = name, error

        def on_step_failed(self, event: StepEvent) -> None:
            order.append(self._name)
            if self._error is not None:
                raise self._error

    errors = [None, ValueError("x"), TerminalError("x"), asyncio.CancelledError(), SystemExit(3)]
    notify([Named(n, e) for n, e in zip("abcde", errors, strict=True)], "on_step_failed", EVENT)
    assert order == ["a", "b", "c", "d", "e"]


def test_a_user_at_the_keyboard_can_stop_even_an_observer() -> None:
    class Interrupted(SagaObserver):
        def on_step_failed(self, event: StepEvent) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        notify([Interrupted()], "on_step_failed", EVENT)


@pytest.mark.parametrize("error", [ValueError(SECRET), TerminalError(SECRET), KeyError(SECRET)])
def test_r24_what_an_observer_raises_is_logged_by_its_class(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    notify([Ear(error)], "on_step_failed", EVENT)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("resaga", logging.ERROR)
    told = record.getMessage()
    for part in ("Ear.on_step_failed", type(error).__name__, EVENT.event_id):
        assert part in told
    assert SECRET not in told
    assert record.exc_info is None, "a traceback may hold payloads"
    assert record.stack_info is None


def test_nothing_is_logged_if_nobody_raises(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    notify([Ear(), SagaObserver()], "on_step_failed", EVENT)
    assert caplog.records == []


# -- events --------------------------------------------------------------------------------------


def test_r25_two_events_never_share_an_id() -> None:
    ids: list[str] = []
    for saga_id, path, method, retried in itertools.product(
        ("inv_1", "inv_12"), ("1", "2", "12", "1.2", "1.2.1"), ABOUT_STEPS, (False, True)
    ):
        ear = _Ids()
        attempt = attempt_of(ear, saga_id=saga_id)
        attempt.tell_step(method, "S", path, retried=retried)
        ids += ear.ids
    for saga_id, method in itertools.product(("inv_1", "inv_12"), ABOUT_SAGAS):
        ear = _Ids()
        attempt_of(ear, saga_id=saga_id).tell_saga(method)
        ids += ear.ids
    assert len(ids) == 2 * 5 * 6 * 2 + 2 * 3
    assert len(set(ids)) == len(ids)


class _Ids(SagaObserver):
    """Keeps the id of every event."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return self._keep
        return super().__getattribute__(name)

    def _keep(self, event: SagaEvent) -> None:
        self.ids.append(event.event_id)


def test_r25_an_event_told_again_has_the_id_it_had_on_any_attempt() -> None:
    ears = [Ear(), Ear()]
    for ear in ears:
        attempt_of(ear).tell_step("on_step_started", "S", "3")
        attempt_of(ear).tell_saga("on_saga_failed", TerminalError("no"))
    first, second = ([event.event_id for event in ear.heard] for ear in ears)
    assert first == second
    assert len(set(first)) == 2


def test_an_event_says_what_happened_where() -> None:
    ear = Ear()
    error = TerminalError("no")
    attempt = attempt_of(ear)
    attempt.tell_step("on_step_failed", "Charge", "3.1.2", outcome="failed", error=error)
    attempt.tell_saga("on_saga_failed", error)
    step, saga = ear.heard
    assert isinstance(step, StepEvent)
    assert (step.saga_id, step.workflow, step.step, step.path) == (
        "inv_1", "Checkout", "Charge", "3.1.2",
    )  # fmt: skip
    assert (step.outcome, step.error, step.retried) == ("failed", error, False)
    assert type(saga) is SagaEvent
    assert (saga.saga_id, saga.workflow, saga.error) == ("inv_1", "Checkout", error)


def test_an_event_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EVENT.step = "Other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_without_observers_nothing_is_made() -> None:
    """Nothing is asked of the journal either."""
    attempt = dataclasses.replace(attempt_of(), journal=cast("Journal", None))
    attempt.tell_saga("on_saga_started")
    attempt.tell_step("on_step_started", "S", "1")


def test_r21_a_message_names_the_saga() -> None:
    assert attempt_of().where("step 'S'") == "step 'S' of saga Checkout (inv_1)"
