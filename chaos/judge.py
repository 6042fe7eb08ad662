"""What the database says, against what the plans and the rules say.

The judge sees rows only: what callers wanted and were told, the effects with their keys, the
balances. It asks no process, and believes nothing that is not in a row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaos.order import Order
from chaos.plan import Line, Move, Pivot, moves, outcome_of, standing
from chaos.records import EffectRow, GuardRow, Records, SagaRow

__all__ = ["Finding", "Verdict", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is off.

    Attributes:
        check: Which check found it: ``lost``, ``money``, ``once``, ``whole``, ``order``,
            ``early``, ``answer`` or ``guard``.
        saga: The saga; empty if it is about all of them.
        what: What is off.
    """

    check: str
    saga: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the judge found.

    Attributes:
        findings: What is off; none, if resaga has kept its promises.
        outcomes: How many sagas ended how; ``lost`` are those without an answer.
        actions: Effects of actions.
        compensations: Effects of compensations, those included that found nothing to undo.
        repeats: What was asked for again, and held off.
        blocked: Actions that had no effect and never will: their compensation came without one.
        overtaken: Actions that were compensated by one process while they ran on in another, cut
            off from their saga; their compensation waited for them, or took their key.
        left_strict: Effects of strict steps without a result, as an observer was told (R7).
        left_incomplete: Effects that stay, as the callers were told: their compensation failed.
        money: What is on all accounts, less what was on them, less what is left of both kinds.
    """

    findings: Sequence[Finding]
    outcomes: Counter[str]
    actions: int
    compensations: int
    repeats: int
    blocked: int
    overtaken: int
    left_strict: int
    left_incomplete: int
    money: int


def judge(records: Records) -> Verdict:
    """Check everything."""
    by_saga: defaultdict[str, list[EffectRow]] = defaultdict(list)
    for effect in records.effects:
        by_saga[effect.saga].append(effect)
    cases = [_Case(saga, by_saga[saga.id], records.unknown) for saga in records.sagas]
    left = [effect for case in cases for effect in (*case.left_strict, *case.left_incomplete)]
    total = sum(account.balance - account.opened for account in records.accounts)
    money = total - sum(effect.amount for effect in left)
    findings = [finding for case in cases for finding in case.findings()]
    findings += _balances(records)
    guards = records.guards or ()
    if records.guards is not None:
        findings += _guards(records.guards, records.effects)
    if money:
        findings.append(Finding(check="money", saga="", what=f"the accounts are off by {money}"))
    return Verdict(
        findings=findings,
        outcomes=Counter(saga.outcome or "lost" for saga in records.sagas),
        actions=sum(effect.kind == "do" for effect in records.effects),
        compensations=sum(effect.kind == "undo" for effect in records.effects),
        repeats=sum(effect.repeats for effect in records.effects) + _held_off(guards),
        blocked=sum(effect.kind == "void" for effect in records.effects)
        + sum(guard.state == "blocked" for guard in guards),
        overtaken=sum(len(case.overtaken) for case in cases),
        left_strict=sum(len(case.left_strict) for case in cases),
        left_incomplete=sum(len(case.left_incomplete) for case in cases),
        money=money,
    )


def _balances(records: Records) -> Iterator[Finding]:
    """Each account holds what was on it, and what its effects brought."""
    brought: Counter[int] = Counter()
    for effect in records.effects:
        brought[effect.account] += effect.amount
    for account in records.accounts:
        expected = account.opened + brought[account.id]
        if account.balance != expected:
            what = f"account {account.id} holds {account.balance}, not {expected}"
            yield Finding(check="money", saga="", what=what)


def _guards(guards: Sequence[GuardRow], effects: Sequence[EffectRow]) -> Iterator[Finding]:
    """The barrier's rows tell of the effects that are there, and of no others."""
    states = {guard.key: guard.state for guard in guards}
    expected: dict[str, str] = {}
    saga_of: dict[str, str] = {}
    for effect in sorted(effects, key=lambda effect: effect.kind):
        # An action's row has its own key, whatever it does; a compensation's is the action's.
        compensates = effect.kind == "undo" and effect.key not in states
        key = effect.undoes or "" if compensates else effect.key
        expected[key] = "undone" if compensates else "done"
        saga_of[key] = effect.saga
    for key, state in states.items():
        wanted = expected.pop(key, "blocked")
        if state != wanted:
            what = f"the barrier's row {key} says {state}, and its effects say {wanted}"
            yield Finding(check="guard", saga=saga_of.get(key, ""), what=what)
    for key in expected:
        what = f"an effect of {key}, of which the barrier has no row"
        yield Finding(check="guard", saga=saga_of[key], what=what)


def _held_off(guards: Sequence[GuardRow]) -> int:
    """How often something was asked for that had been there.

    A row counts how often it was met; the compensation that ran meets it, too.
    """
    return sum(guard.repeats - (guard.state == "undone") for guard in guards)


class _Case:
    """One saga, and what it did."""

    def __init__(
        self, saga: SagaRow, effects: Sequence[EffectRow], unknown: frozenset[tuple[str, str]]
    ) -> None:
        self._saga = saga
        self._plan = saga.plan
        self._moves = {move.path: move for move in moves(self._plan.body)}
        self._order = Order(self._plan.body)
        self._effects = effects
        self._done = [effect for effect in effects if effect.kind == "do"]
        self._undone = [effect for effect in effects if effect.kind == "undo"]
        by_key = {effect.key: effect for effect in effects}
        self._pairs = [(by_key.get(undo.undoes or ""), undo) for undo in self._undone]
        gone = {undo.undoes for undo in self._undone}
        # What the saga did and did not undo.
        self._standing = {effect.step: effect for effect in self._done if effect.key not in gone}
        failed = saga.outcome != "completed"
        self.left_strict = [
            effect
            for effect in self._standing.values()
            if failed and self._move(effect).strict and (effect.invocation, effect.step) in unknown
        ]
        self.left_incomplete = [
            effect
            for effect in self._standing.values()
            if saga.outcome == "incomplete" and self._move(effect).undo_fails
        ]
        self.overtaken = [
            undo
            for do, undo in self._pairs
            if do is not None
            and do.kind == "do"
            and do.ended > undo.began
            and do.process != undo.process
        ]

    def findings(self) -> Iterator[Finding]:
        checks = {
            "answer": self._answer,
            "once": self._once,
            "whole": self._whole,
            "order": self._in_order,
            "early": self._early,
        }
        if self._saga.outcome is None:
            yield Finding(check="lost", saga=self._saga.id, what="its caller got no answer")
            del checks["answer"], checks["whole"]
        strange = {effect.step for effect in self._effects} - set(self._moves)
        if strange:
            what = f"effects of steps that it has not: {sorted(strange)}"
            yield Finding(check="once", saga=self._saga.id, what=what)
            return
        for name, check in checks.items():
            for what in check():
                yield Finding(check=name, saga=self._saga.id, what=what)

    def _move(self, effect: EffectRow) -> Move:
        return self._moves.get(effect.step) or Move(path=effect.step, account=0, amount=0)

    def _answer(self) -> Iterator[str]:
        """The caller was told what happened, and what had to happen did."""
        plan, outcome = self._plan, self._saga.outcome
        succeeds = outcome_of(plan.body) and not plan.gives_up
        if outcome == "completed" and not succeeds:
            yield "completed, though it had to fail"
        if outcome != "completed" and succeeds and not plan.disturbed:
            yield f"{outcome} with {self._saga.message!r}, though nothing ended it"
        if outcome == "incomplete":
            if not any(move.undo_fails for move in self._moves.values()):
                yield f"incomplete, though every compensation works: {self._saga.message!r}"
            for effect in self.left_incomplete:
                if f" {effect.step}:" not in (self._saga.message or ""):
                    yield f"step {effect.step} is left, and its caller was not told"

    def _once(self) -> Iterator[str]:
        """Each effect and each compensation happened once, for what it was planned."""
        for kind in ("do", "undo", "void"):
            counts = Counter(effect.step for effect in self._effects if effect.kind == kind)
            for step, count in counts.items():
                if count > 1:
                    yield f"step {step}: {count} times {kind!r}"
        for effect in self._done:
            move = self._moves[effect.step]
            if (effect.account, effect.amount) != (move.account, move.amount):
                yield f"step {effect.step}: not what was planned"
        for do, undo in self._pairs:
            if do is None or do.step != undo.step:
                yield f"step {undo.step}: its compensation has the key of something else"
            elif undo.amount + do.amount != 0:
                yield f"step {undo.step}: {do.amount} was done, and {undo.amount} undone"

    def _whole(self) -> Iterator[str]:
        """All is there, or all is undone."""
        excused = {effect.step for effect in (*self.left_strict, *self.left_incomplete)}
        stands = set(self._standing)
        allowed = list(self._wholes())
        if self._saga.outcome != "completed":
            stands -= excused
        if not any(stands == whole for whole in allowed):
            best = min(allowed, key=lambda whole: len(whole ^ stands))
            if lost := sorted(stands - best):
                yield f"{self._saga.outcome}, but not undone: {lost}"
            if missing := sorted(best - stands):
                yield f"{self._saga.outcome}, but not there: {missing}"

    def _wholes(self) -> Iterator[set[str]]:
        """The sets of steps that may stand; which of them, a pivot decides."""
        parts = self._plan.body.parts
        if self._saga.outcome == "completed":
            yield _paths(standing(self._plan.body))
            return
        touched = {effect.step for effect in self._effects}
        pivots = [number for number, part in enumerate(parts) if isinstance(part, Pivot)]
        passed = [
            number
            for number in pivots
            if touched & _paths(move for part in parts[number:] for move in moves(part))
        ]
        last = passed[-1] if passed else 0
        yield _paths(standing(Line(path="", parts=parts[:last])))
        for ahead in pivots[len(passed) : len(passed) + 1]:
            # It may have been passed, with nothing done since.
            yield _paths(standing(Line(path="", parts=parts[:ahead])))

    def _in_order(self) -> Iterator[str]:
        """Newest first: of two steps in a line, the later one is undone before the earlier."""
        for undo in self._undone:
            for other in self._undone:
                if self._order.undone_after(other.step, undo.step) and other.began < undo.ended:
                    yield f"step {other.step} was undone before {undo.step}, which came after it"
            for later in self._done:
                early = later.began < undo.ended
                if early and self._order.undone_before_done(undo.step, later.step):
                    yield f"step {later.step} was begun before {undo.step} was undone"

    def _early(self) -> Iterator[str]:
        """No compensation began before its action ended (R6)."""
        for do, undo in self._pairs:
            if (
                do is not None
                and do.kind == "do"
                and do.ended > undo.began
                and do.process == undo.process
            ):
                yield f"step {undo.step}: its compensation began before its action ended"
        for undo in self._undone:
            for step in undo.beside:
                if not self._order.may_go_on(step, beside=undo.step):
                    yield f"step {undo.step} was undone while the action of {step} ran"


def _paths(moves_: Iterable[Move]) -> set[str]:
    return {move.path for move in moves_}
