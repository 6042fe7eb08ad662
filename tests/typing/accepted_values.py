"""What is neither step nor workflow: responses, options, errors, observers, the registry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Never, assert_type

from restate import TerminalError

from resaga import (
    ActionExit,
    CodecError,
    CompensationFailure,
    DeadlineExceeded,
    ErrorMapper,
    MisuseError,
    Outcome,
    ProviderError,
    ResagaError,
    Retry,
    RollbackIncomplete,
    SagaCancelled,
    SagaEvent,
    SagaObserver,
    StepEvent,
    StepResponse,
    StepTimeout,
    UnsupportedTypeError,
    __version__,
    clear_terminal_errors,
    get_global_error_mapper,
    register_terminal_errors,
    set_global_error_mapper,
    unregister_terminal_errors,
)
from tests.typing.domain import Order, Reserved

version: str = __version__

assert_type(StepResponse(Reserved("hold-1")), StepResponse[Reserved, Reserved])
assert_type(StepResponse(Reserved("hold-1"), "hold-1"), StepResponse[Reserved, str])
assert_type(StepResponse(Reserved("hold-1"), None), StepResponse[Reserved, None])
assert_type(StepResponse(Reserved("hold-1")).output, Reserved)
assert_type(StepResponse(Reserved("hold-1"), 7).compensation_data, int)
assert_type(StepResponse.permanent_failure("no"), StepResponse[Never, Never])
assert_type(StepResponse.permanent_failure("no", 7, status_code=409), StepResponse[Never, int])


def failed(message: str) -> StepResponse[Reserved]:
    return StepResponse.permanent_failure(message)


def failed_with_data(message: str) -> StepResponse[Reserved, Order]:
    return StepResponse.permanent_failure(message, Order("p-1"))


def widened() -> StepResponse[object]:
    return StepResponse(Reserved("hold-1"))


retry = Retry(
    max_attempts=5,
    initial_interval=timedelta(milliseconds=50),
    factor=2.0,
    max_interval=timedelta(seconds=5),
    max_duration=timedelta(minutes=5),
)
assert_type(retry.bounded, bool)
assert_type(retry.max_attempts, int | None)
assert_type(retry.max_duration, timedelta | None)


class Declined(Exception):
    pass


def mapper(error: Exception) -> TerminalError | None:
    return TerminalError("declined") if isinstance(error, Declined) else None


def registry() -> None:
    register_terminal_errors([Declined])
    register_terminal_errors({Declined: 402})
    unregister_terminal_errors([Declined])
    clear_terminal_errors()
    set_global_error_mapper(mapper)
    set_global_error_mapper(None)
    assert_type(get_global_error_mapper(), ErrorMapper | None)


ordinary: Sequence[type[ResagaError]] = [
    ActionExit,
    CodecError,
    MisuseError,
    ProviderError,
    StepTimeout,
    UnsupportedTypeError,
]
ends: Sequence[type[TerminalError]] = [DeadlineExceeded, RollbackIncomplete, SagaCancelled]


def told(error: RollbackIncomplete) -> None:
    assert_type(error.original, TerminalError)
    assert_type(error.failures, tuple[CompensationFailure, ...])
    assert_type(error.failures[0].name, str)


class Log(SagaObserver):
    def on_saga_failed(self, event: SagaEvent) -> None:
        assert_type(event.event_id, str)
        assert_type(event.error, BaseException | None)

    def on_step_failed(self, event: StepEvent) -> None:
        assert_type(event.step, str)
        assert_type(event.outcome, Outcome | None)
        assert_type(event.retried, bool)
