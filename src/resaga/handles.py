"""What a wait is for, as the SDK has it: a tree of handles, of which all or one are to come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from restate.vm import (
    AllCompletedUnresolvedFuture,
    FirstCompletedUnresolvedFuture,
    SingleUnresolvedFuture,
    UnresolvedFuture,
)

__all__ = ["all_of", "any_of", "handles"]


def all_of(wanted: Iterable[int]) -> UnresolvedFuture:
    """What is there when all of these handles are."""
    return AllCompletedUnresolvedFuture([SingleUnresolvedFuture(h) for h in wanted])


def any_of(wanted: Iterable[UnresolvedFuture]) -> UnresolvedFuture:
    """What is there when one of these is."""
    return FirstCompletedUnresolvedFuture(list(wanted))


def handles(wanted: UnresolvedFuture) -> Iterator[int]:
    """The handles that ``wanted`` is made of."""
    if isinstance(wanted, SingleUnresolvedFuture):
        yield wanted.handle
    else:
        for child in wanted.children:
            yield from handles(child)
