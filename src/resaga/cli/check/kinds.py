"""Which class is a kind of which, as far as that can be told of whatever people annotate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

__all__ = ["is_kind_of"]


def is_kind_of(cls: object, kinds: Sequence[object]) -> bool | None:
    """Whether a class is one of some kinds, or derived from one; ``None`` if nobody can tell.

    A `TypedDict`, say, cannot be asked.
    """
    if not isinstance(cls, type) or not all(isinstance(kind, type) for kind in kinds):
        return None
    try:
        return issubclass(cls, tuple(cast("Sequence[type]", kinds)))
    except TypeError:
        return None
