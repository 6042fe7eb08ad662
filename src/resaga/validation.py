"""Words for what is wrong with a value, made of paths and kinds, never of values (R24).

The texts of msgspec and pydantic quote what they were given. Those that resaga shows, logs or
answers with (R15, R22) are built here instead, from the path to the fault and the kind of fault.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Final, Protocol, cast, get_args

import msgspec

__all__ = ["a_kind", "describe", "json_kind"]

_model_errors: tuple[type[Exception], ...]
_model_kinds: frozenset[str]
try:
    from pydantic_core import ValidationError as _ModelError
    from pydantic_core.core_schema import ErrorType as _ErrorType
except ImportError:
    _model_errors = ()
    _model_kinds = frozenset()
else:
    _model_errors = (_ModelError,)
    _model_kinds = frozenset(get_args(_ErrorType))

_SHOWN: Final = 3
"""How many of a model's faults a message names; the others are counted."""

_HIDDEN: Final = "[...]"

_SUFFIX: Final = re.compile(r"(?P<text>.*) - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?:\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
_MALFORMED: Final = re.compile(r"JSON is malformed: .* \(byte (\d+)\)", re.DOTALL)

_PLAIN: Final = frozenset(
    {
        "Duration is out of range",
        "Integer value out of range",
        "Invalid ISO8601 duration",
        "Invalid RFC3339 encoded date",
        "Invalid RFC3339 encoded datetime",
        "Invalid RFC3339 encoded time",
        "Invalid UUID",
        "Invalid base64 encoded string",
        "Invalid decimal string",
        "Number out of range",
    }
)
"""Texts of msgspec that hold no value and need no rewording."""

_MODEL_TYPES: Final[Mapping[str, str]] = {
    "dataclass": "object",
    "date_from_datetime": "date",
    "dict": "object",
    "frozen_set": "array",
    "list": "array",
    "mapping": "object",
    "model": "object",
    "model_attributes": "object",
    "named_tuple": "array",
    "none_required": "null",
    "set": "array",
    "string": "str",
    "time_delta": "timedelta",
    "tuple": "array",
}
"""What pydantic's kinds are called in JSON, where the name differs."""

_MODEL_WORDS: Final[Mapping[str, str]] = {
    "assertion_error": "invalid value",
    "enum": "invalid enum value",
    "extra_forbidden": "unknown field",
    "json_invalid": "invalid JSON",
    "literal_error": "invalid enum value",
    "union_tag_invalid": "invalid tag",
    "union_tag_not_found": "missing tag",
    "value_error": "invalid value",
}


class _ModelFault(Protocol):
    """What is used of a pydantic ``ValidationError``."""

    def errors(
        self, *, include_url: bool, include_context: bool
    ) -> Sequence[Mapping[str, object]]: ...


def describe(exc: BaseException, *, names: Container[str] | None = None) -> str | None:
    """Say what is wrong with a value, without any of the value in it.

    Example::

        describe(error)  # '$.quantity: expected int, got str'

    Args:
        exc: What msgspec or pydantic raised.
        names: The field names that may be shown in a path; every other name in it is ``[...]``,
            since it may be a key out of the value. ``None``: those in the paths of msgspec,
            which names fields only, and none of those of pydantic, which names keys as well.

    Returns:
        Path and kind, such as ``$.size: invalid enum value``, ``$: missing required field `x```
        or ``invalid JSON (byte 5)``; ``None`` for an exception of another kind.
    """
    if isinstance(exc, _model_errors):
        return _describe_model("", exc, names)
    if isinstance(exc, msgspec.ValidationError):
        return _describe_invalid(exc, names)
    if isinstance(exc, msgspec.DecodeError):
        malformed = _MALFORMED.fullmatch(str(exc))
        return f"invalid JSON (byte {malformed[1]})" if malformed else "invalid JSON (incomplete)"
    if isinstance(exc, UnicodeDecodeError):
        return "invalid JSON (not UTF-8)"
    if isinstance(exc, RecursionError):
        return "$: nested too deeply"
    return None


def json_kind(value: object) -> str:
    """The name of a value's kind: JSON's for what JSON has, else the name of its class."""
    match value:
        case None:
            return "null"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return type(value).__name__


def a_kind(value: object) -> str:
    """`json_kind` with its article."""
    kind = json_kind(value)
    return f"{'an' if kind[0] in 'AEIOUaeio' else 'a'} {kind}"


def _describe_invalid(exc: msgspec.ValidationError, names: Container[str] | None) -> str:
    text, cause = str(exc), exc.__cause__
    if cause is not None:
        # Raised by the user's `__post_init__` or by a model: all but the path is their text.
        text = text.removeprefix(str(cause))
    found = _SUFFIX.fullmatch(text)
    path = _safe_path(found["path"], names) if found else ""
    if isinstance(cause, _model_errors):
        return _describe_model(path, cause, names)
    if cause is not None:
        return f"${path}: invalid value ({type(cause).__name__})"
    kind = _kind(found["text"] if found else text)
    return f"${path}: {kind} as a key" if found and found["key"] else f"${path}: {kind}"


def _safe_path(path: str, names: Container[str] | None) -> str:
    if names is None:
        return path
    steps = _STEP.finditer(path)
    return "".join(
        step[0] if step["name"] is None or step["name"] in names else _HIDDEN for step in steps
    )


def _kind(text: str) -> str:
    missing = _MISSING.fullmatch(text)
    if missing:
        return f"missing required field `{missing[1]}`"
    if text.startswith("Expected "):
        # Only kinds and limits follow, both from the declared type.
        return "e" + text[1:].replace("`", "")
    if text.startswith("Object contains unknown field"):
        return "unknown field"
    if text.startswith("Invalid enum value"):
        return "invalid enum value"
    if text.startswith("Invalid value "):
        return "invalid tag"
    return text[0].lower() + text[1:] if text in _PLAIN else "invalid value"


def _describe_model(path: str, exc: BaseException, names: Container[str] | None) -> str:
    faults = cast("_ModelFault", exc).errors(include_url=False, include_context=False)
    texts = [_describe_fault(path, fault, names or ()) for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        texts.append(f"and {len(faults) - _SHOWN} more")
    return "; ".join(texts)


def _describe_fault(path: str, fault: Mapping[str, object], names: Container[str]) -> str:
    kind = str(fault["type"])
    location = list(cast("Sequence[int | str]", fault["loc"]))
    field = location.pop() if kind == "missing" and location else None
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if step in names else _HIDDEN
    if field is not None:
        # A field that is missing is not out of the value: its name is the model's.
        return f"${path}: missing required field `{field}`"
    return f"${path}: {_model_kind(kind, fault['input'])}"


def _model_kind(kind: str, given: object) -> str:
    if kind in _MODEL_WORDS:
        return _MODEL_WORDS[kind]
    if kind not in _model_kinds:
        return "invalid value"
    expected = kind.removesuffix("_type").removesuffix("_parsing")
    if expected != kind or kind in _MODEL_TYPES:
        return f"expected {_MODEL_TYPES.get(expected, expected)}, got {json_kind(given)}"
    return f"invalid value ({kind.replace('_', ' ')})"
