"""The stack of compensations: for every sequence of events, the order and the count hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resaga.stack import Fork, Frame, Mark


def flat(frame: Frame[str], since: Mark | None = None) -> list[object]:
    """What a rollback hands out: names, and for a fork the lists of its branches."""
    return [
        [flat(branch) for branch in item.frames] if isinstance(item, Fork) else item
        for item in frame.unwind(since)
    ]


def test_newest_first() -> None:
    frame = Frame[str]()
    for name in "abc":
        frame.push(name)
    assert list(frame.pending()) == ["a", "b", "c"]
    assert flat(frame) == ["c", "b", "a"]
    assert list(frame.pending()) == []


def test_each_is_handed_out_once_even_if_the_rollback_is_broken_off() -> None:
    frame = Frame[str]()
    for name in "abc":
        frame.push(name)
    rollback = frame.unwind()
    assert next(rollback) == "c"
    del rollback
    assert flat(frame) == ["b", "a"]
    assert flat(frame) == []


def test_what_is_registered_during_a_rollback_comes_next() -> None:
    frame = Frame[str]()
    frame.push("a")
    frame.push("b")
    rollback = frame.unwind()
    assert next(rollback) == "b"
    frame.push("c")
    assert list(rollback) == ["c", "a"]


def test_branches_stand_where_they_were_started() -> None:
    frame = Frame[str]()
    frame.push("before")
    left, right = frame.fork(2)
    frame.push("after")
    right.push("r1")
    left.push("l1")
    left.push("l2")
    assert list(frame.pending()) == ["before", "l1", "l2", "r1", "after"]
    assert flat(frame) == ["after", [["l2", "l1"], ["r1"]], "before"]


def test_a_savepoint_undoes_its_own_only() -> None:
    frame = Frame[str]()
    frame.push("before")
    mark = frame.mark()
    frame.push("inside")
    (branch,) = frame.fork(1)
    branch.push("branch")
    assert flat(frame, mark) == [[["branch"]], "inside"]
    assert flat(frame, mark) == []
    frame.push("after")
    assert flat(frame) == ["after", "before"]


def test_savepoints_inside_each_other() -> None:
    frame = Frame[str]()
    outer = frame.mark()
    frame.push("outer")
    inner = frame.mark()
    frame.push("inner")
    assert flat(frame, inner) == ["inner"]
    assert flat(frame, outer) == ["outer"]


def test_a_pivot_drops_what_was_before_it() -> None:
    frame = Frame[str]()
    frame.push("a")
    frame.fork(1)[0].push("branch")
    frame.pivot()
    assert list(frame.pending()) == []
    frame.push("b")
    assert flat(frame) == ["b"]


def test_a_pivot_in_a_savepoint_makes_it_begin_anew() -> None:
    frame = Frame[str]()
    frame.push("before")
    mark = frame.mark()
    frame.push("inside")
    frame.pivot()
    frame.push("after the pivot")
    assert flat(frame, mark) == ["after the pivot"]
    assert flat(frame) == []


def test_a_pivot_with_more_after_it_than_before_the_savepoint() -> None:
    """The mark's place in the list must not be taken for a place in the new one."""
    frame = Frame[str]()
    frame.push("before")
    mark = frame.mark()
    frame.pivot()
    for name in "xyz":
        frame.push(name)
    assert flat(frame, mark) == ["z", "y", "x"]


@given(st.lists(st.integers()))
def test_order_and_count(names: list[int]) -> None:
    frame = Frame[int]()
    for name in names:
        frame.push(name)
    assert list(frame.unwind()) == names[::-1]


Shape = list["str | list[Shape]"]
SHAPES: st.SearchStrategy[Shape] = st.recursive(
    st.lists(st.text("abc", max_size=3), max_size=4),
    lambda inner: st.lists(st.text("abc", max_size=3) | st.lists(inner, max_size=3), max_size=4),
    max_leaves=30,
)


def fill(frame: Frame[str], shape: Shape) -> None:
    for item in shape:
        if isinstance(item, str):
            frame.push(item)
        else:
            for branch, inner in zip(frame.fork(len(item)), item, strict=True):
                fill(branch, inner)


def reverse(shape: Shape) -> list[object]:
    return [
        item if isinstance(item, str) else [reverse(branch) for branch in item]
        for item in reversed(shape)
    ]


@given(SHAPES)
def test_nested_branches_are_each_undone_newest_first(shape: Shape) -> None:
    frame = Frame[str]()
    fill(frame, shape)
    assert flat(frame) == reverse(shape)
    assert list(frame.pending()) == []


@dataclass
class Model:
    """What a line has to be: a list of numbers and of branches, which are lists of numbers.

    Attributes:
        items: What is registered, oldest first.
        marks: The savepoints that are open, each with the place where it begins.
    """

    items: list[int | list[list[int]]] = field(default_factory=list[int | list[list[int]]])
    marks: list[tuple[Mark, int]] = field(default_factory=list[tuple[Mark, int]])

    def pending(self) -> list[int]:
        """What a rollback would undo, oldest first."""
        found: list[int] = []
        for item in self.items:
            found += [item] if isinstance(item, int) else [n for branch in item for n in branch]
        return found


class Lines(RuleBasedStateMachine):
    """One line of execution with branches: any order of events, compared with a plain model."""

    frame: Frame[int]
    model: Model

    @initialize()
    def begin(self) -> None:
        self.frame, self.model = Frame[int](), Model()
        self.count = 0
        self.undone: set[int] = set()

    def _new(self) -> int:
        self.count += 1
        return self.count

    @rule()
    def register(self) -> None:
        number = self._new()
        self.frame.push(number)
        self.model.items.append(number)

    @rule(sizes=st.lists(st.integers(0, 3), max_size=3))
    def branches(self, sizes: list[int]) -> None:
        branches = [[self._new() for _ in range(size)] for size in sizes]
        for frame, branch in zip(self.frame.fork(len(sizes)), branches, strict=True):
            for number in branch:
                frame.push(number)
        self.model.items.append(branches)

    @rule()
    def savepoint(self) -> None:
        self.model.marks.append((self.frame.mark(), len(self.model.items)))

    @precondition(lambda self: self.model.marks)
    @rule()
    def savepoint_succeeds(self) -> None:
        self.model.marks.pop()

    @precondition(lambda self: self.model.marks)
    @rule()
    def savepoint_fails(self) -> None:
        mark, size = self.model.marks.pop()
        self._undo(mark, size)

    @rule()
    def pivot(self) -> None:
        self.frame.pivot()
        self.model.items.clear()
        self.model.marks = [(mark, 0) for mark, _ in self.model.marks]

    @rule(broken_off_after=st.none() | st.integers(0, 3))
    def saga_fails(self, broken_off_after: int | None) -> None:
        self.model.marks.clear()
        if broken_off_after is None:
            self._undo(None, 0)
            return
        rollback = self.frame.unwind()
        for _ in range(broken_off_after):
            item = next(rollback, None)
            if item is None:
                break
            self._check(item, self.model.items.pop())

    def _undo(self, mark: Mark | None, size: int) -> None:
        expected, self.model.items = self.model.items[size:], self.model.items[:size]
        found = list(self.frame.unwind(mark))
        assert len(found) == len(expected)
        for item, model in zip(found, reversed(expected), strict=True):
            self._check(item, model)

    def _check(self, item: int | Fork[int], model: int | list[list[int]]) -> None:
        if isinstance(model, int):
            assert item == model
            self._once(model)
            return
        assert isinstance(item, Fork)
        for frame, branch in zip(item.frames, model, strict=True):
            assert list(frame.unwind()) == branch[::-1]
            self._once(*branch)

    def _once(self, *numbers: int) -> None:
        assert self.undone.isdisjoint(numbers)
        self.undone.update(numbers)

    @invariant()
    def pending_is_what_a_rollback_would_undo(self) -> None:
        assert list(self.frame.pending()) == self.model.pending()


TestLines = Lines.TestCase
