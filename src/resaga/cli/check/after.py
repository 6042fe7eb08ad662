"""RS101: steps with effects and no compensation that more comes after.

The flow is read backwards: for each place in it, what may still fail after it and make the saga
roll back. After a pivot that is nothing, since what was done before it is not to be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from resaga.cli.check.findings import Place
from resaga.cli.check.flow import (
    AnyStep,
    Branches,
    Choice,
    Fails,
    Flow,
    Inline,
    Leave,
    Loop,
    Pivot,
    Seq,
    Step,
    Try,
)

__all__ = ["Next", "Unprotected", "unprotected"]


@dataclass(frozen=True, slots=True)
class Next:
    """What may fail after something: in words, and where."""

    what: str
    place: Place


After: TypeAlias = Next | None


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A step that stays done if what comes next fails.

    Attributes:
        step: The step.
        place: Where it is run.
        next: What may fail then.
        beside: Whether that does not come after it, but runs beside it.
    """

    step: AnyStep
    place: Place
    next: Next
    beside: bool = False


def unprotected(flow: Flow, leaves_effects: Callable[[AnyStep], bool]) -> list[Unprotected]:
    """The steps of a saga that stay done when it rolls back, in the order of their places.

    Args:
        flow: What the saga does.
        leaves_effects: Whether a step has effects that no compensation undoes.
    """
    reader = _Backwards(leaves_effects)
    reader.read(flow, None, _Exits())
    found = {(id(each.step), each.place): each for each in reversed(reader.found)}
    return sorted(found.values(), key=lambda each: each.place)


@dataclass(frozen=True, slots=True)
class _Exits:
    """What comes after a return, a break and a continue."""

    returned: After = None
    broken: After = None
    continued: After = None


class _Backwards:
    def __init__(self, leaves_effects: Callable[[AnyStep], bool]) -> None:
        self._leaves_effects = leaves_effects
        self._quiet = 0
        self.found: list[Unprotected] = []

    def read(self, flow: Flow, after: After, exits: _Exits) -> After:
        """What may fail from the begin of ``flow`` on, if ``after`` may after its end."""
        match flow:
            case Step(steps=steps, place=place):
                for step in steps:
                    self._step(step, place, after)
                return Next(_names(steps), place)
            case Fails(what=what, place=place):
                return Next(what, place)
            case Pivot():
                return None
            case Leave(how=how):
                return _left(how, exits)
            case Seq(parts=parts):
                for part in reversed(parts):
                    after = self.read(part, after, exits)
                return after
            case Choice(arms=arms):
                return _first([self.read(arm, after, exits) for arm in arms])
            case Loop():
                return self._loop(flow, after, exits)
            case Branches(arms=arms):
                return self._branches(arms, after, exits)
            case Try():
                final = self.read(flow.final, after, exits)
                handled = [self.read(handler, final, exits) for handler in flow.handlers]
                done = self.read(flow.orelse, final, exits)
                return _first([self.read(flow.body, done, exits), *handled])
            case Inline(body=body):
                return self.read(body, after, _Exits(returned=after))

    def _step(self, step: AnyStep, place: Place, after: After) -> None:
        if after is not None and not self._quiet and self._leaves_effects(step):
            self.found.append(Unprotected(step, place, after))

    def _loop(self, loop: Loop, after: After, exits: _Exits) -> After:
        left = None if loop.endless else after
        round_ = self._silently(loop.body, left, replace(exits, broken=after, continued=left))
        again = left or round_
        begun = self.read(loop.body, again, replace(exits, broken=after, continued=again))
        return _first([begun, left])

    def _branches(self, arms: Sequence[Flow], after: After, exits: _Exits) -> After:
        firsts = [self._silently(arm, None, exits) for arm in arms]
        begun: list[After] = []
        for number, arm in enumerate(arms):
            beside = _first([*firsts[number + 1 :], *firsts[:number]])
            begun.append(self._arm(arm, beside, after, exits))
        return _first([*begun, after])

    def _arm(self, arm: Flow, beside: After, after: After, exits: _Exits) -> After:
        known = len(self.found)
        begun = self.read(arm, beside or after, exits)
        if beside is not None:
            self.found[known:] = [
                replace(each, beside=True) if each.next == beside else each
                for each in self.found[known:]
            ]
        return begun

    def _silently(self, flow: Flow, after: After, exits: _Exits) -> After:
        self._quiet += 1
        try:
            return self.read(flow, after, exits)
        finally:
            self._quiet -= 1


def _left(how: str, exits: _Exits) -> After:
    match how:
        case "return":
            return exits.returned
        case "break":
            return exits.broken
        case "continue":
            return exits.continued
        case _:
            return None  # An error of which nothing is known: retried, most likely.


def _first(choices: Sequence[After]) -> After:
    return next((each for each in choices if each is not None), None)


def _names(steps: Sequence[AnyStep]) -> str:
    return " or ".join(dict.fromkeys(step.name for step in steps))
