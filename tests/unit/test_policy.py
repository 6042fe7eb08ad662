"""Retry policies: what is refused, and that a saga is never killed (R11, R21)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from restate import InvocationRetryPolicy

from resaga import MisuseError, Retry
from resaga.policy import positive, saga_retry_policy

SECOND = timedelta(seconds=1)

# What the type checkers refuse as well is passed through here.
loose_retry: Callable[..., Any] = Retry
loose_positive: Callable[..., Any] = positive


def test_nothing_is_bounded_unless_told() -> None:
    retry = Retry()
    assert dataclasses.astuple(retry) == (None,) * 5
    assert not retry.bounded


@pytest.mark.parametrize(
    ("retry", "bounded"),
    [
        (Retry(max_attempts=1), True),
        (Retry(max_duration=SECOND), True),
        (Retry(initial_interval=SECOND, factor=2.0, max_interval=SECOND), False),
    ],
)
def test_attempts_and_duration_bound_it_and_intervals_do_not(retry: Retry, bounded: bool) -> None:
    assert retry.bounded is bounded


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_attempts": 0}, r"max_attempts=0.*1 or more"),
        ({"max_attempts": -3}, r"max_attempts=-3.*1 or more"),
        ({"factor": 0.5}, r"factor=0.5.*1\.0 or more"),
        ({"initial_interval": timedelta(0)}, r"initial_interval=.*above zero"),
        ({"max_interval": -SECOND}, r"max_interval=.*above zero"),
        ({"max_duration": timedelta(0)}, r"max_duration=.*above zero"),
        ({"max_duration": 3}, r"max_duration=.*datetime\.timedelta"),
        ({"initial_interval": 0.5}, r"initial_interval=.*datetime\.timedelta"),
    ],
)
def test_r21_what_cannot_be_a_policy_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(MisuseError, match=told):
        loose_retry(**fields)


@pytest.mark.parametrize("fields", [{"max_attempts": 1}, {"factor": 1.0}, {"max_duration": SECOND}])
def test_the_least_that_is_allowed(fields: dict[str, Any]) -> None:
    retry = loose_retry(**fields)
    assert {name: getattr(retry, name) for name in fields} == fields


def test_a_policy_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Retry().max_attempts = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_duration_is_positive_or_left_out() -> None:
    positive(None, "a duration")
    positive(timedelta(microseconds=1), "a duration")
    for wrong in (timedelta(0), -SECOND, 5, "1s"):
        with pytest.raises(MisuseError, match=r"^the deadline of workflow W is "):
            loose_positive(wrong, "the deadline of workflow W")


def test_r21_without_a_policy_restate_is_asked_to_pause() -> None:
    policy = saga_retry_policy(None, where="workflow W")
    assert policy == InvocationRetryPolicy(on_max_attempts="pause")


def test_r21_a_policy_of_the_users_pauses_too_and_keeps_the_rest() -> None:
    given = InvocationRetryPolicy(
        initial_interval=SECOND,
        exponentiation_factor=3.0,
        max_interval=2 * SECOND,
        max_attempts=7,
    )
    policy = saga_retry_policy(given, where="workflow W")
    assert policy == dataclasses.replace(given, on_max_attempts="pause")
    assert given.on_max_attempts is None, "the user's own object stays as it was"


def test_r21_killing_is_refused_with_the_mend() -> None:
    kill = InvocationRetryPolicy(max_attempts=3, on_max_attempts="kill")
    with pytest.raises(MisuseError, match=r"^workflow W: .*never rolled back.*='pause'"):
        saga_retry_policy(kill, where="workflow W")
