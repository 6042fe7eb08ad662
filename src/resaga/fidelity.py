"""Does a value come back from JSON as what it was? Where it does not, at which path (R15, R16)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import msgspec

from resaga.validation import a_kind, json_kind

__all__ = ["first_difference", "first_not_finite"]

Fields = Callable[[object], Mapping[str, object] | None]
"""The fields of a pydantic model, ``None`` for any other value."""

_ANNOTATE = "annotate its type, so that it comes back as it is"


def first_difference(sent: object, back: object, fields: Fields, path: str = "$") -> str | None:
    """Where, and how, what came back differs from what was sent.

    Equality is not enough: an ``IntEnum`` is equal to the number it came back as, and instances
    of a class without ``__eq__`` are never equal.

    Args:
        sent: The value before it was written.
        back: The same, read again.
        fields: How to look into a pydantic model.
        path: Where the two stand.

    Returns:
        Path and fault, without any of the value (R24); ``None`` if there is no difference.
    """
    if type(sent) is not type(back):
        if type(sent) is int and type(back) is float and sent == back:
            return None  # A whole number in a field of floats.
        if isinstance(sent, float) and not math.isfinite(sent):
            return not_finite(path)
        return f"{path}: {a_kind(sent)} would come back as {json_kind(back)}; {_ANNOTATE}"
    if isinstance(sent, Mapping):
        return _of_mapping(
            cast("Mapping[object, object]", sent),
            cast("Mapping[object, object]", back),
            fields,
            path,
        )
    if not _has_parts(sent, fields):
        return None if _equal(sent, back) else f"{path}: it would come back as another value"
    parts, others = list(_parts(sent, fields)), list(_parts(back, fields))
    if len(parts) != len(others):
        return f"{path}: something in it would be lost"
    for (step, part), (_, other) in zip(parts, others, strict=True):
        found = first_difference(part, other, fields, path + step)
        if found is not None:
            return found
    return None


def first_not_finite(value: object, fields: Fields, path: str = "$") -> str | None:
    """Path and fault of the first float in a value that JSON has no form for, else ``None``."""
    if isinstance(value, float):
        return None if math.isfinite(value) else not_finite(path)
    for step, part in _parts(value, fields):
        found = first_not_finite(part, fields, path + step)
        if found is not None:
            return found
    return None


def not_finite(path: str) -> str:
    """What is said of infinity, and of what is not a number."""
    return f"{path}: a number that is not finite has no form in JSON"


def _of_mapping(
    sent: Mapping[object, object], back: Mapping[object, object], fields: Fields, path: str
) -> str | None:
    kinds = {key: type(key) for key in back}
    for key, value in sent.items():
        if kinds.get(key) is not type(key):
            return f"{path}: a key of type {json_kind(key)} would not come back; {_ANNOTATE}"
        found = first_difference(value, back[key], fields, f"{path}[...]")
        if found is not None:
            return found
    return None


def _has_parts(value: object, fields: Fields) -> bool:
    return (
        isinstance(value, (list, tuple, msgspec.Struct))
        or dataclasses.is_dataclass(value)
        or fields(value) is not None
    )


def _parts(value: object, fields: Fields) -> Iterator[tuple[str, object]]:
    """What a value is made of, each part with its step in a path; keys are not shown (R24)."""
    model = fields(value)
    if model is not None:
        yield from ((f".{name}", part) for name, part in model.items())
    elif isinstance(value, Mapping):
        yield from (("[...]", part) for part in cast("Mapping[object, object]", value).values())
    elif isinstance(value, (list, tuple, AbstractSet)):
        items = cast("list[object]", value)
        yield from ((f"[{index}]", part) for index, part in enumerate(items))
    else:
        names: tuple[str, ...] = ()
        if isinstance(value, msgspec.Struct):
            names = value.__struct_fields__
        elif dataclasses.is_dataclass(value):
            names = tuple(each.name for each in dataclasses.fields(value))
        yield from ((f".{name}", getattr(value, name)) for name in names if hasattr(value, name))


def _equal(sent: object, back: object) -> bool:
    if isinstance(sent, datetime) and isinstance(back, datetime) and sent.tzinfo is not None:
        # Two zones are compared as instants: Python never calls a time in a gap or a fold equal.
        return back.tzinfo is not None and sent.astimezone(UTC) == back.astimezone(UTC)
    if isinstance(sent, Decimal) and isinstance(back, Decimal):
        # One that is "not a number" is not equal to itself, or cannot be compared at all.
        return sent.compare_total(back) == 0
    return bool(sent == back)
