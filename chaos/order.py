"""Which step of a plan comes before which, and which run side by side."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.plan import Branches, Call, Line, Move, Part, Pivot, Savepoint, block_holds

__all__ = ["Order"]


@dataclass(frozen=True, slots=True)
class _Turn:
    """One level on the way down to a step: what it stands in, and at which place there."""

    inside: Part
    place: int


class Order:
    """The order of a plan's steps.

    Args:
        body: The plan's body.
    """

    def __init__(self, body: Line) -> None:
        self._ways: dict[str, list[_Turn]] = {}
        self._walk(body, [])

    def undone_after(self, first: str, second: str) -> bool:
        """Whether a step is undone after another one, if both are: it always came before it."""
        return self._comes_first(first, second) and not self._given_up(first, second)

    def undone_before_done(self, first: str, second: str) -> bool:
        """Whether a step is undone before another one is done: its savepoint is given up."""
        return self._comes_first(first, second) and self._given_up(first, second)

    def may_go_on(self, action: str, *, beside: str) -> bool:
        """Whether an action may run while another step is undone.

        In a branch beside one where a savepoint is rolled back it may; else all is waited for.
        """
        parted = self._parting(action, beside)
        if parted is None or not isinstance(parted[1].inside, Branches):
            return False
        way = self._ways[beside]
        below = way[way.index(parted[1]) + 1 :]
        return any(isinstance(turn.inside, Savepoint) and turn.place == 0 for turn in below)

    def _comes_first(self, first: str, second: str) -> bool:
        parted = self._parting(first, second)
        if parted is None or isinstance(parted[0].inside, Branches):
            return False
        return parted[0].place < parted[1].place

    def _given_up(self, step: str, later: str) -> bool:
        """Whether a step stands in a block that fails as planned, and another one does not."""
        parted = self._parting(step, later)
        assert parted is not None
        way = self._ways[step]
        return any(
            isinstance(turn.inside, Savepoint) and turn.place == 0 and not block_holds(turn.inside)
            for turn in way[way.index(parted[0]) :]
        )

    def _parting(self, first: str, second: str) -> tuple[_Turn, _Turn] | None:
        """Where the ways to two steps part; None if they are one."""
        for one, other in zip(self._ways[first], self._ways[second], strict=False):
            if one.place != other.place:
                return one, other
        return None

    def _walk(self, part: Part, way: list[_Turn]) -> None:
        match part:
            case Move(path=path):
                self._ways[path] = way
            case Line(parts=inner):
                self._walk_all(part, inner, way)
            case Branches(arms=arms):
                self._walk_all(part, arms, way)
            case Savepoint(block=block, instead=instead):
                self._walk_all(part, [block, instead], way)
            case Call(body=body):
                self._walk_all(part, [body], way)
            case Pivot():
                pass

    def _walk_all(self, part: Part, inner: list[Part] | list[Line], way: list[_Turn]) -> None:
        for place, one in enumerate(inner):
            self._walk(one, [*way, _Turn(part, place)])
