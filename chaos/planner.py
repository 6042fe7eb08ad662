"""Random plans: 2 to 8 steps, in all the shapes, failing in all the ways; all of it from a seed."""

from __future__ import annotations

import random
from typing import get_args

from chaos.plan import Branches, Call, Failing, Kind, Line, Move, Part, Pivot, Plan, Savepoint

__all__ = ["ACCOUNTS", "plan_of"]

ACCOUNTS = 64
LARGEST = 500
WAYS: tuple[Failing, ...] = get_args(Failing)
KINDS: tuple[Kind, ...] = get_args(Kind)

FAILING_STEP = 0.07
"""Share of the steps; with the cancels, deadlines and so on, about half of the sagas fail."""


def plan_of(seed: int, number: int) -> Plan:
    """Plan saga ``number`` of a run: the same one for the same seed."""
    return _Planner(random.Random(f"{seed}/{number}")).plan(f"saga-{number:06d}")


class _Planner:
    """Throws the dice for one plan."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._left = 0

    def plan(self, saga: str) -> Plan:
        self._left = self._dice.randint(1, 4)
        parts: list[Part] = []
        while self._left:
            parts.append(self._part(f"{len(parts) + 1}"))
            if self._left and self._often(0.1):
                parts.append(Pivot(path=f"{len(parts) + 1}"))
        cancels = self._dice.choices([0, 1, 2], [80, 12, 8])[0]
        return Plan(
            saga=saga,
            body=Line(path="", parts=parts),
            gives_up=self._often(0.1),
            in_time=self._often(0.1),
            cancels=sorted(self._dice.randint(0, 600) for _ in range(cancels)),
        )

    def _part(self, path: str, *, depth: int = 0, undoable: bool = True) -> Part:
        """One part of a line: one leg, or several in something that holds lines."""
        shape = self._dice.random()
        if shape < 0.5 or depth == 2:
            return self._leg(path, undoable=undoable)
        if shape < 0.7 and self._left > 1:
            return self._branches(path, depth=depth, undoable=undoable)
        if shape < 0.85 and self._left > 1:
            return self._savepoint(path, depth=depth)
        body = f"{path}.1"
        return Call(
            path=path,
            body=Line(path=body, parts=[self._part(f"{body}.1", depth=depth + 1, undoable=False)]),
        )

    def _branches(self, path: str, *, depth: int, undoable: bool) -> Branches:
        arms: list[Line] = []
        for number in range(1, self._dice.randint(2, max(2, self._left)) + 1):
            if self._left:
                arm = f"{path}.{number}"
                part = self._part(f"{arm}.1", depth=depth + 1, undoable=undoable)
                arms.append(Line(path=arm, parts=[part]))
        return Branches(path=path, arms=arms)

    def _savepoint(self, path: str, *, depth: int) -> Savepoint:
        block, instead = f"{path}.1", f"{path}.2"
        self._left -= 1  # Kept for what is done instead.
        first = self._part(f"{block}.1", depth=depth + 1, undoable=False)
        self._left += 1
        return Savepoint(
            path=path,
            block=Line(path=block, parts=[first]),
            gives_up=self._often(0.4),
            instead=Line(path=instead, parts=[self._leg(f"{instead}.1", undoable=False)]),
        )

    def _leg(self, path: str, *, undoable: bool) -> Part:
        """A withdrawal and a deposit; side by side now and then."""
        self._left -= 1
        amount = self._dice.randint(1, LARGEST)
        source, target = self._dice.sample(range(ACCOUNTS), 2)
        if self._often(0.2):
            first, second = f"{path}.1", f"{path}.2"
            arms = [
                Line(
                    path=first, parts=[self._move(f"{first}.1", source, -amount, undoable=undoable)]
                ),
                Line(
                    path=second,
                    parts=[self._move(f"{second}.1", target, amount, undoable=undoable)],
                ),
            ]
            return Branches(path=path, arms=arms)
        pair: list[Part] = [
            self._move(f"{path}.1", source, -amount, undoable=undoable),
            self._move(f"{path}.2", target, amount, undoable=undoable),
        ]
        return Line(path=path, parts=pair)

    def _move(self, path: str, account: int, amount: int, *, undoable: bool) -> Move:
        strict = self._often(0.25)
        fails = self._dice.choice(WAYS) if self._often(FAILING_STEP) else None
        if strict and fails == "exhausted":
            fails = "terminal"  # Nobody would know of its effect, and that is its author's choice.
        return Move(
            path=path,
            account=account,
            amount=amount,
            kind=self._dice.choices(KINDS, [55, 20, 25])[0],
            strict=strict,
            slow=self._time(),
            linger=self._time(),
            hiccups=self._dice.choices([0, 1, 2], [85, 10, 5])[0],
            fails=fails,
            # What a strict step does before it fails would never be undone.
            late=not strict and self._often(0.6),
            undo_slow=self._time(),
            undo_hiccups=self._dice.choices([0, 1, 2], [85, 10, 5])[0],
            undo_fails=undoable and self._often(0.02),
        )

    def _time(self) -> int:
        """Mostly short, now and then long enough for a kill to come in between."""
        return self._dice.choice([0, 0, self._dice.randint(0, 30), self._dice.randint(30, 400)])

    def _often(self, share: float) -> bool:
        return self._dice.random() < share
