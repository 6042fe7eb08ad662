"""Plans are what the issue asks for, whatever the seed."""

from __future__ import annotations

from typing import get_args

import msgspec

from chaos.faults import FAULTS, schedule
from chaos.order import Order
from chaos.plan import (
    Branches,
    Call,
    Failing,
    Kind,
    Part,
    Pivot,
    Plan,
    Savepoint,
    moves,
    outcome_of,
    standing,
)
from chaos.planner import plan_of

PLANS = [plan_of(1, number) for number in range(1000)]


def parts(part: Part) -> list[type[Part]]:
    """The kinds of parts in a part, itself included."""
    inner: list[Part] = []
    match part:
        case Branches(arms=arms):
            inner = [*arms]
        case Savepoint(block=block, instead=instead):
            inner = [block, instead]
        case Call(body=body):
            inner = [body]
        case _:
            inner = list(getattr(part, "parts", []))
    return [type(part), *[kind for one in inner for kind in parts(one)]]


def test_they_have_two_to_eight_steps_of_every_kind() -> None:
    steps = [step for plan in PLANS for step in moves(plan.body)]
    assert {len(list(moves(plan.body))) for plan in PLANS} == {2, 4, 6, 8}
    assert {step.kind for step in steps} == set(get_args(Kind))
    assert {step.fails for step in steps} == {None, *get_args(Failing)}
    assert {step.strict for step in steps} == {True, False}


def test_they_have_every_shape_and_end_in_every_way() -> None:
    shapes = {shape for plan in PLANS for shape in parts(plan.body)}
    assert {Branches, Savepoint, Call, Pivot} <= shapes
    assert {len(plan.cancels) for plan in PLANS} == {0, 1, 2}
    assert {plan.in_time for plan in PLANS} == {True, False}
    ends = [outcome_of(plan.body) and not plan.gives_up for plan in PLANS]
    assert 300 < ends.count(True) < 800


def test_what_stands_in_the_end_is_zero_in_sum() -> None:
    for plan in PLANS:
        assert sum(step.amount for step in standing(plan.body)) == 0


def test_they_are_the_same_for_the_same_seed_and_travel_as_json() -> None:
    again = [plan_of(1, number) for number in range(1000)]
    assert again == PLANS
    assert msgspec.json.decode(msgspec.json.encode(PLANS), type=list[Plan]) == PLANS
    assert plan_of(2, 0) != plan_of(1, 0)


def test_paths_are_unique_and_in_order() -> None:
    for plan in PLANS:
        paths = [step.path for step in moves(plan.body)]
        assert len(set(paths)) == len(paths)
        order = Order(plan.body)
        for number, path in enumerate(paths):
            for later in paths[number:]:
                assert not order.undone_after(later, path)


def test_faults_are_spread_over_the_sagas_each_kind_as_often_as_the_others() -> None:
    faults = schedule(FAULTS, seed=3, kills=40, sagas=500)
    assert [sum(fault.kind == kind for fault in faults) for kind in FAULTS] == [10] * len(FAULTS)
    assert [fault.after for fault in faults] == sorted(fault.after for fault in faults)
    assert 10 <= faults[0].after <= faults[-1].after <= 500
    assert schedule(FAULTS, seed=3, kills=40, sagas=500) == faults
