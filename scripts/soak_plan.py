"""What a saga of the soak does: a tree, made from a number, the same in the worker and outside.

Each step has a label, which is its place in the tree: what the ledger holds can so be compared
with what should have happened, without trusting the keys that are under test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Branches",
    "Call",
    "Node",
    "Placed",
    "Race",
    "Savepoint",
    "Sleep",
    "Step",
    "plan",
    "steps_of",
]

Kind = Literal["plain", "threaded", "strict", "durable"]
Told = Literal["go on", "hiccup", "fail"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and how it ends: ``hiccup`` is an ordinary error, once."""

    label: str
    kind: Kind
    told: Told
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Sleep:
    """A wait on ``saga.ctx``."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of another service on ``saga.ctx``."""


@dataclass(frozen=True, slots=True)
class Race:
    """``restate.select`` over a run, which may lose and go on, and a sleep."""

    label: str
    milliseconds: int
    hiccup: bool


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A savepoint, which fails or not."""

    nodes: Sequence[Node]
    fails: bool


@dataclass(frozen=True, slots=True)
class Branches:
    """A ``saga.gather``."""

    lines: Sequence[Sequence[Node]]


Node = Step | Sleep | Call | Race | Savepoint | Branches


def plan(seed: int, size: int) -> Sequence[Node]:
    """The tree of one saga, of about ``size`` nodes."""
    return _Planner(seed).saga(size)


@dataclass(frozen=True, slots=True)
class Placed:
    """A step and where it stands: in a savepoint, and in one that the plan lets fail."""

    step: Step
    in_savepoint: bool
    undone: bool


def steps_of(
    nodes: Sequence[Node], *, in_savepoint: bool = False, undone: bool = False
) -> Iterator[Placed]:
    """All its steps, each with where it stands."""
    for node in nodes:
        match node:
            case Step():
                yield Placed(node, in_savepoint, undone)
            case Savepoint():
                yield from steps_of(node.nodes, in_savepoint=True, undone=undone or node.fails)
            case Branches():
                for line in node.lines:
                    yield from steps_of(line, in_savepoint=in_savepoint, undone=undone)
            case _:
                pass


class _Planner:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        # A third of the sagas fail somewhere, in one place or in several at once.
        self._fails = self._random.choice([0.0, 0.0, self._random.choice([0.01, 0.05])])

    def saga(self, size: int) -> Sequence[Node]:
        branches = self._random.randint(2, 5)
        lines = [self._line(f"1.{n}", size // branches, 0) for n in range(1, branches + 1)]
        last: Told = "fail" if self._random.random() < 0.2 else "go on"
        return [Branches(lines), Step("2", "plain", last, 1)]

    def _line(self, path: str, size: int, depth: int) -> Sequence[Node]:
        nodes: list[Node] = []
        left = self._random.randint(size // 2, size + size // 2)
        while left > 0 or not nodes:
            label = f"{path}.{len(nodes) + 1}"
            node, cost = self._node(label, left, depth)
            nodes.append(node)
            left -= cost
        return nodes

    def _node(self, label: str, left: int, depth: int) -> tuple[Node, int]:
        number = self._random.randint(1, 20)
        milliseconds = self._random.randint(0, 30)
        if number <= 11:
            return self._step(label), 1
        if number == 12:
            return Sleep(milliseconds), 1
        if number == 13:
            return Call(), 1
        if number <= 15:
            return Race(label, milliseconds, self._random.random() < 0.3), 1
        if number <= 17 or depth == 2 or left < 4:
            inside = self._line(f"{label}.s", min(left, 3), 2)
            return Savepoint(inside, self._random.random() < 0.5), len(inside)
        lines = [
            self._line(f"{label}.{n}", left // 4, depth + 1)
            for n in range(1, self._random.randint(2, 5))
        ]
        if number == 20:
            return Savepoint([Branches(lines)], self._random.random() < 0.5), left // 2
        return Branches(lines), left // 2

    def _step(self, label: str) -> Step:
        kinds: Sequence[Kind] = ("plain", "plain", "threaded", "strict", "durable")
        told: Told = "hiccup" if self._random.random() < 0.1 else "go on"
        if self._random.random() < self._fails:
            told = "fail"
        return Step(label, self._random.choice(kinds), told, self._random.randint(0, 20))
