"""Which types JSON carries there and back as the same type, and why not the others (R16)."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec.inspect as mi

__all__ = ["Engine", "Models", "NoModels", "Refusal", "Shape", "normal", "shape_of", "type_name"]

TAG_MEND: Final = (
    "Make them msgspec.Struct classes with tag=True, or pydantic models in a union with a "
    "discriminator"
)
NAME_MEND: Final = (
    "Define or import the types at module level, outside of `if TYPE_CHECKING:`, so that they can "
    "be found at run time"
)
_CLASS_MEND: Final = (
    "Use a dataclass, a msgspec.Struct, a pydantic model or one of the plain types, with what is "
    "needed to build the object again"
)

_LIKE: Final = re.compile(r"more than one (str|int|array|array-like|dict|dict-like)\b.* type\b")
_INNER: Final = re.compile(r"[Tt]ype [`'](?P<name>.+)[`'] is (?:not supported|invalid)", re.DOTALL)
_DOTTED: Final = re.compile(r"(?:[A-Za-z_<][\w<>]*\.)+(?=[A-Za-z_])")
_CLASS: Final = re.compile(r"<(?:class|enum) '([^']+)'>")

_KEYS: Final = (
    mi.AnyType,
    mi.BytesType,
    mi.DateTimeType,
    mi.DateType,
    mi.DecimalType,
    mi.EnumType,
    mi.FloatType,
    mi.IntType,
    mi.StrType,
    mi.TimeDeltaType,
    mi.TimeType,
    mi.UUIDType,
)
"""What can be the key of a JSON object and come back as itself."""


class Refusal(Exception):
    """A type cannot be carried; who asked for it adds where that was.

    Attributes:
        what: The type at fault, as it is written in code.
        why: What would go wrong.
        mend: What to write instead.
    """

    def __init__(self, what: object, why: str, mend: str) -> None:
        self.what: str = what if isinstance(what, str) else type_name(what)
        self.why = why
        self.mend = mend
        super().__init__(f"{self.what}: {why}. {mend}.")


@dataclass(slots=True)
class Shape:
    """What is known of a type.

    Attributes:
        loose: It leaves part of the value open (``Any``, a bare ``dict``), so that values have to
            be looked at one by one.
        names: The names of all fields in it: what may be shown of a path (R24).
        leaves: The pydantic models in it, which pydantic reads and writes.
    """

    loose: bool = False
    names: set[str] = field(default_factory=set[str])
    leaves: set[type] = field(default_factory=set[type])


class Engine(Protocol):
    """Writes and reads the values of one type, and lets the library's exceptions pass."""

    def encode(self, value: object, /) -> bytes:
        """JSON."""
        ...

    def decode(self, data: bytes, /) -> object:
        """The value."""
        ...

    def schema(self) -> dict[str, Any]:
        """Its JSON schema, with what it shares under ``$defs``."""
        ...


class Models(Protocol):
    """What resaga asks of pydantic, so that it can do without."""

    def is_model(self, declared: object) -> bool:
        """Whether this is a model class."""
        ...

    def is_whole(self, declared: object) -> bool:
        """Whether this is a model or pydantic dataclass, or a union of one with ``None``."""
        ...

    def is_dataclass(self, declared: object) -> bool:
        """Whether this is one of pydantic's dataclasses."""
        ...

    def is_secret(self, declared: object) -> bool:
        """Whether this is a class whose values mask themselves."""
        ...

    def can_carry(self, declared: object) -> bool:
        """Whether pydantic can take the whole: models in plain containers and unions."""
        ...

    def inspect(self, declared: object, shape: Shape) -> None:
        """Add what is known of the type to ``shape``; raises `Refusal`."""
        ...

    def engine(self, declared: object) -> Engine:
        """The engine for it; raises `Refusal`."""
        ...

    def fields(self, value: object) -> Mapping[str, object] | None:
        """The fields of a model, ``None`` if the value is none."""
        ...


class NoModels:
    """`Models` where pydantic is not installed: nothing is a model."""

    def is_model(self, declared: object) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def is_whole(self, declared: object) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def is_dataclass(self, declared: object) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def is_secret(self, declared: object) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def can_carry(self, declared: object) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def inspect(self, declared: object, shape: Shape) -> None:  # noqa: ARG002
        """Refuse it."""
        raise Refusal(declared, "it is no pydantic model", _CLASS_MEND)

    def engine(self, declared: object) -> Engine:
        """Refuse it."""
        raise Refusal(declared, "it is no pydantic model", _CLASS_MEND)

    def fields(self, value: object) -> Mapping[str, object] | None:  # noqa: ARG002
        """None: nothing has any."""
        return None


def normal(declared: object) -> object:
    """The type that an annotation stands for: none at all and ``object`` are ``Any``."""
    if declared is inspect.Parameter.empty or declared is object:
        return Any
    return type(None) if declared is None else declared


def type_name(declared: object) -> str:
    """A type as one writes it in code, without modules: ``Page[Order] | None``."""
    if isinstance(declared, type) and typing.get_origin(declared) is None:
        return declared.__name__
    if typing.get_origin(declared) is typing.Annotated:
        return type_name(typing.get_args(declared)[0])
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return " | ".join(
            "None" if arm is type(None) else type_name(arm) for arm in typing.get_args(declared)
        )
    return _plain_name(declared if isinstance(declared, str) else repr(declared))


def shape_of(declared: object, models: Models) -> Shape:
    """Look through a type that msgspec is to carry.

    Args:
        declared: The type.
        models: Who knows about pydantic's models.

    Returns:
        What there is in it.

    Raises:
        Refusal: JSON cannot carry it there and back as the same type.
    """
    try:
        info = mi.type_info(declared)
    except NameError as exc:
        raise Refusal(
            declared, f"the name {exc.name!r} in it does not resolve", NAME_MEND
        ) from None
    except Exception as exc:
        raise _refusal(declared, str(exc)) from None
    walker = _Walker(models)
    walker.visit(info)
    return walker.shape


class _Walker:
    """Visits each type within a type once; types may contain themselves."""

    def __init__(self, models: Models) -> None:
        self.shape = Shape()
        self._models = models
        self._seen: set[int] = set()
        self._visitors: tuple[tuple[type | tuple[type, ...], Callable[[Any], None]], ...] = (
            (mi.Metadata, lambda node: self.visit(node.type)),
            ((mi.DictType,), self._visit_dict),
            (
                (mi.DataclassType, mi.StructType, mi.NamedTupleType, mi.TypedDictType),
                self._visit_fields,
            ),
            (mi.CustomType, self._visit_class),
            (mi.AnyType, self._visit_any),
            ((mi.RawType, mi.ExtType), self._visit_raw),
        )

    def visit(self, node: mi.Type) -> None:
        """Look at a type and all in it."""
        for kind, visitor in self._visitors:
            if isinstance(node, kind):
                visitor(node)
                return
        for child in _children(node):
            self.visit(child)

    def _visit_any(self, _node: mi.AnyType) -> None:
        self.shape.loose = True

    def _visit_raw(self, node: mi.Type) -> None:
        raise Refusal(
            type(node).__name__.removesuffix("Type"),
            "it is not a value but an encoded one",
            "Declare bytes, or Any for plain JSON",
        )

    def _visit_dict(self, node: mi.DictType) -> None:
        key = node.key_type
        while isinstance(key, mi.Metadata):
            key = key.type
        if isinstance(key, mi.CustomType) and key.cls is object:
            self.shape.loose = True
        elif isinstance(key, mi.LiteralType):
            if not all(type(value) in (str, int) for value in key.values):
                raise _bad_key("Literal")
        elif not isinstance(key, _KEYS):
            raise _bad_key(type_name(getattr(key, "cls", type(key).__name__.removesuffix("Type"))))
        else:
            self.visit(key)
        self.visit(node.value_type)

    def _visit_fields(
        self, node: mi.DataclassType | mi.StructType | mi.NamedTupleType | mi.TypedDictType
    ) -> None:
        # Classes are seen by node: msgspec makes one for each class, with its parameters.
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        if self._models.is_dataclass(node.cls):
            raise Refusal(
                node.cls,
                "a pydantic dataclass inside of another class would not be validated",
                "Make it a pydantic model or a plain dataclass",
            )
        if isinstance(node, mi.StructType) and node.tag_field is not None:
            self.shape.names.add(node.tag_field)
        for each in node.fields:
            self.shape.names.add(each.encode_name)
            self.visit(each.type)

    def _visit_class(self, node: mi.CustomType) -> None:
        if node.cls is object:
            self.shape.loose = True
        elif self._models.is_model(node.cls):
            self._models.inspect(node.cls, self.shape)
            self.shape.leaves.add(node.cls)
        elif self._models.is_secret(node.cls):
            raise secret(node.cls)
        else:
            raise Refusal(
                node.cls, "JSON has no form for it from which it could be built again", _CLASS_MEND
            )


def secret(declared: object) -> Refusal:
    """Why a type that masks itself is refused."""
    return Refusal(
        declared,
        "it masks itself when it is written, so that the secret would be lost",
        "Pass a reference to the secret and look it up where it is used, or declare str if it may "
        "stand in the journal",
    )


def _children(node: mi.Type) -> Iterator[mi.Type]:
    if isinstance(node, mi.CollectionType):
        yield node.item_type
    elif isinstance(node, mi.TupleType):
        yield from node.item_types
    elif isinstance(node, mi.UnionType):
        yield from node.types


def _bad_key(name: str) -> Refusal:
    return Refusal(
        f"dict[{name}, ...]",
        "the keys of a JSON object are strings, from which such a key does not come back",
        "Use keys of type str, or a list of pairs",
    )


def _refusal(declared: object, text: str) -> Refusal:
    """What msgspec says about a type, in words that hold why and mend."""
    found = _INNER.search(text)
    what = _plain_name(found["name"]) if found else type_name(declared)
    inside = type_name(declared)
    if what.strip("'\"") != inside:
        what = f"{what} in {inside}"
    like = _LIKE.search(text)
    if "Struct types must" in text or "dataclass or attrs type" in text or "dict-like" in text:
        return Refusal(what, "two of its members look alike in JSON, as objects", TAG_MEND)
    if like:
        return Refusal(
            what,
            f"JSON writes more than one of its members as {like[1].removesuffix('-like')}, and "
            "cannot tell them apart",
            "Wrap them in msgspec.Struct classes with tag=True, or keep one",
        )
    if "custom type" in text:
        return Refusal(
            what,
            "a class that is neither dataclass nor struct can be in a union with None only",
            "If all are pydantic models, put the union, with a discriminator, into a RootModel of "
            "its own; else use msgspec.Struct classes with tag=True",
        )
    if "InitVar" in text:
        return Refusal(what, "an InitVar is not kept by the object", "Make it a plain field")
    if text.startswith("Enum"):
        return Refusal(
            what,
            "the values of an enum have to be all str or all int",
            "Give it such values",
        )
    return Refusal(what, "it is not a type whose values JSON can carry", _CLASS_MEND)


def _plain_name(text: str) -> str:
    return _DOTTED.sub("", _CLASS.sub(r"\1", text)).replace("NoneType", "None")
