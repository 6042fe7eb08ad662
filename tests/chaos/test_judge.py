"""The judge must be able to fail: rows by hand, each with one thing that is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import pytest

from chaos.judge import Verdict, judge
from chaos.plan import Branches, Line, Move, Part, Pivot, Plan, Savepoint
from chaos.records import AccountRow, EffectRow, GuardRow, Outcome, Records, SagaRow

State: TypeAlias = Literal["started", "done", "undone", "blocked"]


class Rows:
    """The rows of one saga, written as they come."""

    def __init__(self, *parts: Part, gives_up: bool = False, cancels: Sequence[int] = ()) -> None:
        body = Line(path="", parts=list(parts))
        self.plan = Plan(saga="s", body=body, gives_up=gives_up, cancels=list(cancels))
        self.effects: list[EffectRow] = []
        self.unknown: set[tuple[str, str]] = set()
        self.guards: list[GuardRow] | None = None
        self._clock = 0

    def _add(self, kind: Literal["do", "undo", "void"], step: str, **told: object) -> EffectRow:
        self._clock += 2
        row = EffectRow(
            key=f"{kind}-{step}",
            kind=kind,
            saga="s",
            step=step,
            invocation="inv",
            undoes=f"do-{step}" if kind == "undo" else None,
            account=1,
            amount=0,
            process="p",
            beside=(),
            began=self._clock,
            ended=self._clock + 1,
            repeats=0,
        )
        row = replace(row, **told)  # type: ignore[arg-type]
        self.effects.append(row)
        return row

    def do(self, step: str, amount: int, **told: object) -> EffectRow:
        return self._add("do", step, amount=amount, **told)

    def undo(self, step: str, amount: int, **told: object) -> EffectRow:
        return self._add("undo", step, amount=-amount, **told)

    def guard(self, step: str, state: State, repeats: int = 0) -> None:
        """A row of the barrier; with one, that is the guard."""
        row = GuardRow(key=f"do-{step}", state=state, repeats=repeats)
        self.guards = [*(self.guards or ()), row]

    def judge(
        self, outcome: Outcome | None, message: str = "", *, balance: int | None = None
    ) -> Verdict:
        brought = sum(effect.amount for effect in self.effects)
        account = AccountRow(
            id=1, opened=1000, balance=1000 + brought if balance is None else balance
        )
        saga = SagaRow(id="s", plan=self.plan, outcome=outcome, code=409, message=message)
        return judge(
            Records(
                accounts=[account],
                sagas=[saga],
                effects=self.effects,
                unknown=frozenset(self.unknown),
                guards=self.guards,
            )
        )


def leg(path: str = "1", *, strict: bool = False, undo_fails: bool = False) -> Line:
    """A withdrawal of 5 and a deposit of it."""
    first = Move(path=f"{path}.1", account=1, amount=-5)
    second = Move(path=f"{path}.2", account=1, amount=5, strict=strict, undo_fails=undo_fails)
    return Line(path=path, parts=[first, second])


def checks(verdict: Verdict) -> set[str]:
    return {finding.check for finding in verdict.findings}


def test_a_completed_saga_is_fine() -> None:
    rows = Rows(leg())
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    verdict = rows.judge("completed")
    assert verdict.findings == []
    assert (verdict.outcomes, verdict.actions) == ({"completed": 1}, 2)


def test_a_saga_that_was_rolled_back_is_fine() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.undo("1.2", 5)
    rows.undo("1.1", -5)
    assert rows.judge("rolled back").findings == []


def test_a_saga_without_an_answer_is_lost() -> None:
    verdict = Rows(leg()).judge(None)
    assert checks(verdict) == {"lost"}
    assert verdict.outcomes == {"lost": 1}


def test_an_effect_that_is_not_undone_is_found() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.undo("1.2", 5)
    assert checks(rows.judge("rolled back")) == {"whole", "money"}


def test_an_effect_that_is_missing_is_found() -> None:
    rows = Rows(leg())
    rows.do("1.1", -5)
    assert checks(rows.judge("completed")) == {"whole", "money"}


TWICE = pytest.mark.parametrize("key", [{}, {"key": "another"}], ids=["its key", "another key"])
"""Where no key is unique, the same one can be there twice."""


@TWICE
def test_an_effect_that_happened_twice_is_found(key: dict[str, str]) -> None:
    rows = Rows(leg())
    rows.do("1.1", -5)
    rows.do("1.1", -5, **key)
    rows.do("1.2", 5)
    assert checks(rows.judge("completed")) == {"once", "money"}


@TWICE
def test_a_compensation_that_happened_twice_is_found(key: dict[str, str]) -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.undo("1.2", 5)
    rows.undo("1.1", -5)
    rows.undo("1.1", -5, **key)
    assert checks(rows.judge("rolled back")) == {"once", "money"}


def test_the_compensation_of_an_action_without_an_effect_is_found() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.undo("1.1", -5)
    assert checks(rows.judge("rolled back")) == {"once", "money"}


def behind_the_barrier() -> Rows:
    """Rolled back: one step is undone, and the other one never had its effect."""
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.undo("1.1", -5)
    return rows


def test_what_the_barrier_held_off_is_counted() -> None:
    rows = behind_the_barrier()
    rows.guard("1.1", "undone", repeats=3)  # One of them was the compensation that ran.
    rows.guard("1.2", "blocked", repeats=1)
    verdict = rows.judge("rolled back")
    assert (verdict.findings, verdict.repeats, verdict.blocked) == ([], 3, 1)


@pytest.mark.parametrize(
    ("first", "second"), [("done", "blocked"), ("undone", "done"), ("undone", "started")]
)
def test_a_row_of_the_barrier_that_tells_something_else_is_found(
    first: State, second: State
) -> None:
    rows = behind_the_barrier()
    rows.guard("1.1", first)
    rows.guard("1.2", second)
    assert checks(rows.judge("rolled back")) == {"guard"}


def test_an_effect_of_which_the_barrier_has_no_row_is_found() -> None:
    rows = behind_the_barrier()
    rows.guard("1.2", "blocked")
    assert checks(rows.judge("rolled back")) == {"guard"}


def test_a_compensation_with_the_key_of_something_else_is_found() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.undo("1.1", 0, undoes="nobody")
    assert checks(rows.judge("rolled back")) == {"once", "whole", "money"}


def test_the_wrong_order_is_found() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.undo("1.1", -5)
    rows.undo("1.2", 5)
    assert checks(rows.judge("rolled back")) == {"order"}


def test_branches_have_no_order() -> None:
    arms = [Line(path=f"1.{n}", parts=[leg(f"1.{n}.1")]) for n in (1, 2)]
    rows = Rows(Branches(path="1", arms=arms), gives_up=True)
    steps = {"1.1.1.1": -5, "1.2.1.1": -5, "1.1.1.2": 5, "1.2.1.2": 5}
    for step, amount in steps.items():
        rows.do(step, amount)
    for step in ("1.1.1.2", "1.1.1.1", "1.2.1.2", "1.2.1.1"):
        rows.undo(step, steps[step])
    assert rows.judge("rolled back").findings == []


def test_a_compensation_before_the_end_of_its_action_is_found() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5, ended=100)
    rows.undo("1.1", -5)
    assert checks(rows.judge("rolled back")) == {"early"}


def test_in_another_process_it_may_overtake_an_action_that_was_cut_off() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5, ended=100, process="killed")
    rows.undo("1.1", -5)
    verdict = rows.judge("rolled back")
    assert (verdict.findings, verdict.overtaken) == ([], 1)


def test_a_compensation_beside_an_action_is_found() -> None:
    rows = Rows(leg(), gives_up=True)
    rows.do("1.1", -5)
    rows.undo("1.1", -5, beside=("1.2",))
    assert checks(rows.judge("rolled back")) == {"early"}


def test_a_savepoint_may_be_rolled_back_beside_the_action_of_another_branch() -> None:
    savepoint = Savepoint(
        path="1.1.1",
        block=Line(path="1.1.1.1", parts=[leg("1.1.1.1.1")]),
        gives_up=True,
        instead=Line(path="1.1.1.2", parts=[leg("1.1.1.2.1")]),
    )
    first = Line(path="1.1", parts=[savepoint])
    second = Line(path="1.2", parts=[leg("1.2.1")])
    rows = Rows(Branches(path="1", arms=[first, second]))
    rows.do("1.1.1.1.1.1", -5)
    rows.do("1.1.1.1.1.2", 5)
    rows.undo("1.1.1.1.1.2", 5, beside=("1.2.1.1",))
    rows.undo("1.1.1.1.1.1", -5)
    for step, amount in {"1.1.1.2.1.1": -5, "1.1.1.2.1.2": 5, "1.2.1.1": -5, "1.2.1.2": 5}.items():
        rows.do(step, amount)
    assert rows.judge("completed").findings == []


def test_what_is_done_instead_of_a_savepoint_before_that_is_undone_is_found() -> None:
    savepoint = Savepoint(
        path="1",
        block=Line(path="1.1", parts=[leg("1.1.1")]),
        gives_up=True,
        instead=Line(path="1.2", parts=[leg("1.2.1")]),
    )
    rows = Rows(savepoint)
    rows.do("1.1.1.1", -5)
    rows.do("1.2.1.1", -5)
    rows.undo("1.1.1.1", -5)
    rows.do("1.2.1.2", 5)
    assert checks(rows.judge("completed")) == {"order"}


def test_what_stands_before_a_pivot_stays() -> None:
    rows = Rows(leg("1"), Pivot(path="2"), leg("3"), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.do("3.1", -5)
    rows.undo("3.1", -5)
    assert rows.judge("rolled back").findings == []


def test_half_of_what_stands_before_a_pivot_is_not_enough() -> None:
    rows = Rows(leg("1"), Pivot(path="2"), leg("3"), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.do("3.1", -5)
    rows.undo("3.1", -5)
    rows.undo("1.2", 5)
    assert checks(rows.judge("rolled back")) == {"whole", "money"}


def test_a_strict_step_without_a_result_may_stay_if_it_was_named() -> None:
    rows = Rows(leg(strict=True), cancels=[1])
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.undo("1.1", -5)
    assert checks(rows.judge("rolled back")) == {"whole", "money"}
    rows.unknown.add(("inv", "1.2"))
    verdict = rows.judge("rolled back")
    assert (verdict.findings, verdict.left_strict) == ([], 1)


def test_an_incomplete_rollback_has_to_name_what_it_leaves() -> None:
    rows = Rows(leg(undo_fails=True), gives_up=True)
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    rows.undo("1.1", -5)
    assert checks(rows.judge("rolled back")) == {"whole", "money"}
    assert checks(rows.judge("incomplete", "something")) == {"answer"}
    verdict = rows.judge("incomplete", "not undone: hybrid plain 1.2: no")
    assert (verdict.findings, verdict.left_incomplete) == ([], 1)


@pytest.mark.parametrize(
    ("gives_up", "outcome"), [(True, "completed"), (False, "rolled back"), (False, "incomplete")]
)
def test_the_wrong_answer_is_found(gives_up: bool, outcome: Outcome) -> None:
    rows = Rows(leg(), gives_up=gives_up)
    if outcome == "completed":
        rows.do("1.1", -5)
        rows.do("1.2", 5)
    assert checks(rows.judge(outcome)) == {"answer"}


def test_money_from_nowhere_is_found() -> None:
    rows = Rows(leg())
    rows.do("1.1", -5)
    rows.do("1.2", 5)
    assert checks(rows.judge("completed", balance=1001)) == {"money"}


def test_an_effect_of_a_step_that_the_saga_has_not_is_found() -> None:
    rows = Rows(leg())
    rows.do("7", 0)
    assert "once" in checks(rows.judge("completed"))
