"""Values to JSON and back, as their declared types say, and the JSON schemas of those (R15, R16).

msgspec writes and reads; pydantic does that for its models. What is written is read back at once
and compared, so that bytes which leave here come back as the value that went in, on a replay, on
another machine, or in another service.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from resaga.errors import CodecError, UnsupportedTypeError
from resaga.fidelity import first_difference, first_not_finite
from resaga.shapes import (
    Engine,
    Models,
    NoModels,
    Refusal,
    Shape,
    normal,
    shape_of,
    type_name,
)
from resaga.validation import a_kind, describe

__all__ = ["Codec", "Hooks", "codec_for", "unreadable", "unwritable"]

T = TypeVar("T")

_CACHED: Final = 1024
"""How many types' codecs are kept, so that classes made at run time are let go of in the end."""


@cache
def _models() -> Models:
    """What is known of models; pydantic's part takes a while to import, so not before it is asked.

    It is asked for the first type of a step or handler.
    """
    try:
        from resaga.models import PydanticModels  # noqa: PLC0415
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "pydantic":
            raise
        return NoModels()
    return PydanticModels()


class Codec(Generic[T]):
    """Writes and reads the values of one type; made by `codec_for`.

    Attributes:
        declared: The type; ``Any`` where there was no annotation.
        nullable: ``None`` is one of its values.
        whole: pydantic reads and writes all of it, rather than msgspec.
        leaves: The engines of the models in it, where msgspec reads and writes the rest.
        names: The names of the fields in it: what may be shown of a path (R24).
    """

    __slots__ = ("_engine", "_loose", "declared", "leaves", "names", "nullable", "whole")

    def __init__(
        self,
        declared: object,
        engine: Engine,
        shape: Shape,
        *,
        leaves: Mapping[type, Engine],
        whole: bool = False,
    ) -> None:
        self.declared: object = declared
        self.whole: bool = whole
        self.leaves: Mapping[type, Engine] = leaves
        self.names: frozenset[str] = frozenset(shape.names)
        self._engine = engine
        self._loose = shape.loose
        self.nullable: bool = self._takes_null()

    def encode(self, value: T) -> bytes:
        """Write a value as JSON.

        Returns:
            Bytes from which `decode` gives an equal value of the same type.

        Raises:
            CodecError: There are no such bytes: the value does not fit the type, or would come
                back as something else. The message names the path, never the value.
        """
        try:
            data = self._engine.encode(value)
        except Exception as exc:
            fault = unwritable(exc)
        else:
            return self._checked(value, data)
        raise CodecError(fault)

    def decode(self, data: bytes) -> T:
        """Read a value; no bytes at all are ``None``, if that is a value of the type.

        Raises:
            CodecError: The bytes are no JSON, or JSON that does not fit the type:
                ``$.quantity: expected int, got str``.
        """
        if not data:
            if self.nullable:
                return cast("T", None)
            raise CodecError(f"$: expected {type_name(self.declared)}, got nothing")
        try:
            return cast("T", self._engine.decode(data))
        except Exception as exc:
            fault = unreadable(exc, self.names)
        # Raised out here, it has no context: msgspec's and pydantic's errors quote values (R24).
        raise CodecError(fault)

    def check(self, value: T, what: str) -> None:
        """Raise the `CodecError` that `encode` would raise, with ``what`` the value is."""
        try:
            self.encode(value)
        except CodecError as exc:
            fault = f"{what}: {exc}"
        else:
            return
        raise CodecError(fault)

    @property
    def field_type(self) -> object:
        """The type by which msgspec carries a value within a record."""
        return msgspec.Raw if self.whole else self.declared

    def pack(self, value: T) -> object:
        """A value as `field_type`; exceptions of the library pass."""
        return msgspec.Raw(self._engine.encode(value)) if self.whole else value

    def unpack(self, packed: object) -> T:
        """The value in the `field_type` of a whole codec; exceptions of the library pass."""
        return cast("T", self._engine.decode(bytes(cast("msgspec.Raw", packed))))

    def schema(self) -> dict[str, Any]:
        """The JSON schema of what `encode` writes; parts that have none are left open."""
        return self._engine.schema()

    def fault(self, sent: object, back: object, path: str = "$") -> str | None:
        """How a value that was read back differs from the one written, ``None`` if not at all."""
        try:
            if not self._loose and back == sent:
                return None
        except Exception:  # noqa: S110
            pass  # Their `__eq__` cannot tell; the fields can.
        try:
            return first_difference(sent, back, _models().fields, path)
        except RecursionError:
            return f"{path}: nested too deeply"
        except Exception as exc:
            return f"{path}: values of it cannot be compared ({type(exc).__name__})"

    def _checked(self, value: T, data: bytes) -> bytes:
        try:
            back = self._engine.decode(data)
        except Exception as exc:
            fault = self._not_finite(value) or unreadable(exc, self.names)
        else:
            found = self.fault(value, back)
            if found is None:
                return data
            fault = found
        raise CodecError(fault)

    def _not_finite(self, value: T) -> str | None:
        """Whether it is for a number without a form in JSON that the value cannot be read."""
        try:
            return first_not_finite(value, _models().fields)
        except Exception:
            return None

    def _takes_null(self) -> bool:
        try:
            return self._engine.decode(b"null") is None
        except Exception:
            return False


class Hooks:
    """What msgspec asks for where it meets a class of which it knows nothing."""

    def __init__(self, leaves: Mapping[type, Engine]) -> None:
        self._leaves = leaves

    def encode(self, value: object) -> msgspec.Raw:
        """The JSON of a model."""
        engine = self._leaves.get(type(value))
        if engine is None:
            raise _NoForm(a_kind(value))
        return msgspec.Raw(engine.encode(value))

    def decode(self, cls: type, value: object) -> object:
        """A model, from plain values."""
        engine = self._leaves.get(cls)
        # Written again, since pydantic reads more from JSON than from Python's own types. What
        # has no engine is `object`, which anything is.
        return value if engine is None else engine.decode(msgspec.json.encode(value))


class _NoForm(Exception):
    """There is a value that JSON has no form for; the text is its kind."""


class _NativeEngine:
    """msgspec, with pydantic for the models within."""

    def __init__(self, declared: object, leaves: Mapping[type, Engine]) -> None:
        hooks = Hooks(leaves)
        self._declared = declared
        self._leaves = leaves
        self.encode = msgspec.json.Encoder(enc_hook=hooks.encode).encode
        self.decode = msgspec.json.Decoder(
            cast("type[object]", declared), dec_hook=hooks.decode
        ).decode

    def schema(self) -> dict[str, Any]:
        shared: dict[str, Any] = {}

        def of_class(cls: type) -> dict[str, Any]:
            engine = self._leaves.get(cls)
            return {} if engine is None else _merged(cls.__name__, engine.schema(), shared)

        try:
            schema = msgspec.json.schema(self._declared, schema_hook=of_class)
        except Exception:
            return {}  # A default in it has no form in JSON; the values have.
        if shared:
            schema["$defs"] = {**shared, **schema.get("$defs", {})}
        return schema


def codec_for(declared: object, *, where: str) -> Codec[Any]:
    """The codec of a type, checked to carry its values there and back (R16).

    Example::

        codec = codec_for(Order, where="saga 'Checkout', input")

    Args:
        declared: The type; ``Any``, ``object`` or ``inspect.Parameter.empty`` stand for plain
            JSON: values that would come back as something else are refused when they are
            written.
        where: The step or handler, and which of its values; for the error.

    Raises:
        UnsupportedTypeError: No value of it, or not every one, would come back as the same type.
    """
    known = normal(declared)
    try:
        return _cached(known) if _hashable(known) else _codec(known)
    except Refusal as refusal:
        fault = (
            f"{where}: {refusal.what} cannot go through JSON and come back as it was: "
            f"{refusal.why}. {refusal.mend}."
        )
    raise UnsupportedTypeError(fault)


def unwritable(exc: BaseException) -> str:
    """Why a value could not be written, without any of it (R24)."""
    match exc:
        case _NoForm():
            return f"$: {exc} in it has no form in JSON, or does not fit the declared type"
        case UnicodeEncodeError():
            return "$: a string in it has a lone surrogate, which is no text"
        case RecursionError():
            return "$: nested too deeply, or it contains itself"
        case _:
            return f"$: it does not fit the declared type, or has no form in JSON ({_kind(exc)})"


def unreadable(exc: BaseException, names: frozenset[str]) -> str:
    """Why a value could not be read, without any of it (R24)."""
    found = describe(exc, names=names)
    return found if found is not None else f"$: building the value failed ({_kind(exc)})"


def _kind(exc: BaseException) -> str:
    return type(exc).__name__


def _hashable(declared: object) -> bool:
    try:
        hash(declared)
    except TypeError:
        return False
    return True


def _codec(declared: object) -> Codec[Any]:
    models = _models()
    if not models.is_whole(declared):
        try:
            shape = shape_of(declared, models)
        except Refusal:
            # Unions of models, say, which pydantic tells apart and msgspec does not.
            if not models.can_carry(declared):
                raise
        else:
            leaves = {cls: models.engine(cls) for cls in shape.leaves}
            return Codec(declared, _NativeEngine(declared, leaves), shape, leaves=leaves)
    shape = Shape()
    models.inspect(declared, shape)
    return Codec(declared, models.engine(declared), shape, leaves={}, whole=True)


_cached = lru_cache(maxsize=_CACHED)(_codec)


def _merged(name: str, schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """A model's schema, with what it shares moved to ``shared`` under names of its own."""
    prefix = f"{name}."

    def renamed(node: object) -> Any:
        if isinstance(node, dict):
            return {key: renamed(value) for key, value in cast("dict[str, object]", node).items()}
        if isinstance(node, list):
            return [renamed(value) for value in cast("list[object]", node)]
        if isinstance(node, str) and node.startswith("#/$defs/"):
            return "#/$defs/" + prefix + node.removeprefix("#/$defs/")
        return node

    whole: dict[str, Any] = renamed(schema)
    shared.update({prefix + key: value for key, value in whole.pop("$defs", {}).items()})
    return whole
