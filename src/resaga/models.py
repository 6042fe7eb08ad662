"""pydantic's models as values (R16): what of them JSON carries, and the writing and reading.

The only module that needs pydantic. `resaga.serde` does without where it is not installed.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

import msgspec
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Discriminator,
    PydanticSchemaGenerationError,
    PydanticUserError,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
)
from pydantic.dataclasses import is_pydantic_dataclass, rebuild_dataclass
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from resaga.shapes import NAME_MEND, TAG_MEND, Engine, Refusal, Shape, normal, secret

__all__ = ["PydanticModels"]

_UNIONS: Final = (typing.Union, types.UnionType)
_CALLABLE: Final = typing.get_origin(Callable[..., object])
_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_CONTAINERS: Final = frozenset[object]((dict, frozenset, list, set, tuple))
_FUNCTION_MEND: Final = "Pass the name of what is to be called, and look it up where it is used"


class PydanticModels:
    """`resaga.shapes.Models` by pydantic."""

    def is_model(self, declared: object) -> bool:
        """Whether this is a model class."""
        return _is_class(declared, BaseModel)

    def is_dataclass(self, declared: object) -> bool:
        """Whether this is one of pydantic's dataclasses."""
        cls = _class_of(declared)
        return cls is not None and is_pydantic_dataclass(cls)

    def is_secret(self, declared: object) -> bool:
        """Whether this is a class whose values mask themselves."""
        cls = _class_of(declared)
        return cls is not None and issubclass(cls, _SECRETS)

    def is_whole(self, declared: object) -> bool:
        """Whether this is a model or pydantic dataclass, or a union of one with ``None``."""
        bare, _ = _strip(declared)
        arms = typing.get_args(bare) if typing.get_origin(bare) in _UNIONS else (bare,)
        left = [_strip(arm)[0] for arm in arms if arm is not type(None)]
        return len(left) == 1 and (self.is_model(left[0]) or self.is_dataclass(left[0]))

    def can_carry(self, declared: object) -> bool:
        """Whether pydantic can take the whole: models in plain containers and unions."""
        leaves = list(_leaves(declared))
        return any(self.is_model(leaf) or self.is_dataclass(leaf) for leaf in leaves) and not any(
            _is_aggregate(leaf) and not self.is_dataclass(leaf) for leaf in leaves
        )

    def inspect(self, declared: object, shape: Shape) -> None:
        """Add what is known of the type to ``shape``.

        Raises:
            Refusal: A value would not come back as what it was.
        """
        _Walker(self, shape).visit(declared)

    def engine(self, declared: object) -> Engine:
        """The engine for it.

        Raises:
            Refusal: pydantic cannot read or write it.
        """
        try:
            return _ModelEngine(TypeAdapter[object](cast("Any", declared)))
        except PydanticSchemaGenerationError:
            raise Refusal(
                declared,
                "pydantic knows no way to read and write a class in it",
                "Use a pydantic model, a dataclass or one of the plain types for it",
            ) from None
        except PydanticUserError:
            raise Refusal(
                declared,
                "pydantic cannot build it, since a class in it is not fully defined, or a union "
                "cannot be told apart by its discriminator",
                NAME_MEND,
            ) from None

    def fields(self, value: object) -> Mapping[str, object] | None:
        """The fields of a model, extra ones under one name; ``None`` if the value is no model."""
        if not isinstance(value, BaseModel):
            return None
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {**fields, "(extra)": value.model_extra}


class _ModelEngine:
    """Aliases are written and read; what is computed is not written, since it is not read."""

    def __init__(self, adapter: TypeAdapter[object]) -> None:
        self._adapter = adapter

    def encode(self, value: object) -> bytes:
        # The warnings about unexpected values quote them (R24); reading back finds such values.
        return self._adapter.dump_json(value, by_alias=True, round_trip=True, warnings=False)

    def decode(self, data: bytes) -> object:
        # pydantic takes NaN and 1e999 as JSON: what is no JSON, or no number, is found first.
        msgspec.json.decode(data)
        return self._adapter.validate_json(data)

    def schema(self) -> dict[str, Any]:
        return self._adapter.json_schema(by_alias=True, schema_generator=_Schema)


class _Schema(GenerateJsonSchema):
    """A part that has no schema is left open, without a warning."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def handle_invalid_for_json_schema(self, schema: object, error_info: str) -> dict[str, Any]:  # noqa: ARG002
        return {}


class _Walker:
    """Visits each type within a model once; models may contain themselves."""

    def __init__(self, models: PydanticModels, shape: Shape) -> None:
        self._models = models
        self._shape = shape
        self._seen: set[object] = set()

    def visit(self, declared: object, *, told_apart: bool = False) -> None:
        declared, has_discriminator = _strip(declared)
        origin, arguments = typing.get_origin(declared), typing.get_args(declared)
        if origin is typing.Literal:
            return
        if origin in _UNIONS:
            if not (told_apart or has_discriminator):
                self._check_union(declared, [_strip(arm)[0] for arm in arguments])
        elif origin is _CALLABLE or declared is _CALLABLE:
            raise Refusal(declared, "a function has no form in JSON", _FUNCTION_MEND)
        else:
            self._visit_class(origin or declared, bare=not arguments)
        for argument in arguments:
            self.visit(argument)

    def _visit_class(self, declared: object, *, bare: bool) -> None:
        is_open = normal(declared) is Any or isinstance(declared, TypeVar)
        self._shape.loose |= is_open or (bare and declared in _CONTAINERS)
        cls = _class_of(declared)
        if cls is None or cls in self._seen:
            return
        self._seen.add(cls)
        if self._models.is_secret(cls):
            raise secret(cls)
        if cls is BaseModel:
            raise Refusal(cls, "it has no fields of its own", "Declare the model that is meant")
        if issubclass(cls, msgspec.Struct):
            raise Refusal(cls, "pydantic does not read a msgspec.Struct", "Use a dataclass there")
        if issubclass(cls, BaseModel) or is_pydantic_dataclass(cls):
            self._visit_model(cls)
        elif _is_aggregate(cls):
            for name, hint in _hints(cls).items():
                self._shape.names.add(name)
                self.visit(hint)

    def _visit_model(self, cls: type) -> None:
        fields = _fields(cls)
        config = cast("Mapping[str, Any]", _config(cls))
        self._shape.loose |= config.get("extra") == "allow"
        for name, info in fields.items():
            where = f"{cls.__name__}.{name}"
            if info.exclude:
                raise Refusal(
                    where,
                    "it is excluded when the model is written, so that it would be lost",
                    "Take exclude=True off, or use a model without the field",
                )
            self._shape.names |= {name, *_read_names(name, info, config)}
            written = info.serialization_alias or name
            if written not in _read_names(name, info, config):
                raise Refusal(
                    where,
                    f"it is written as {written!r} and not read under that name",
                    "Give it one alias=, or set populate_by_name=True and no serialization_alias",
                )
            self._check_arbitrary(cls, where, info, config)
            told_apart = info.discriminator is not None or any(
                isinstance(each, Discriminator) for each in info.metadata
            )
            self.visit(info.annotation, told_apart=told_apart)

    def _check_arbitrary(
        self, cls: type, where: str, info: FieldInfo, config: Mapping[str, Any]
    ) -> None:
        """Refuse a class that pydantic only admits, unless the model says how to write it."""
        decorators = cast("Any", cls).__pydantic_decorators__
        if (
            not config.get("arbitrary_types_allowed")
            or info.metadata
            or decorators.field_serializers
            or decorators.model_serializers
        ):
            return
        for leaf in _leaves(info.annotation):
            if leaf is _CALLABLE or self._models.is_secret(leaf):
                continue
            try:
                TypeAdapter[object](cast("Any", leaf))
            except PydanticSchemaGenerationError:
                raise Refusal(
                    where,
                    "it holds a class that pydantic cannot read or write",
                    "Give the field a serializer and a validator, or use a type pydantic knows",
                ) from None

    def _check_union(self, declared: object, arms: list[object]) -> None:
        objects = [arm for arm in arms if _is_aggregate(arm) or self._models.is_model(arm)]
        for index, one in enumerate(objects):
            for other in objects[index + 1 :]:
                tags, others = _tags(one), _tags(other)
                if not any(tags[name].isdisjoint(others[name]) for name in tags.keys() & others):
                    raise Refusal(
                        declared,
                        "two of its members look alike in JSON, as objects",
                        TAG_MEND,
                    )


def _class_of(declared: object) -> type[Any] | None:
    """The class, also of one with parameters; ``None`` for what is no class."""
    cls = typing.get_origin(declared) or declared
    return cast("type[Any]", cls) if isinstance(cls, type) else None


def _is_class(declared: object, cls: type) -> bool:
    return isinstance(declared, type) and issubclass(declared, cls)


def _is_aggregate(declared: object) -> bool:
    """Whether this is a class with named fields that is not pydantic's model."""
    cls = _class_of(declared)
    return cls is not None and (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, msgspec.Struct)
        or typing.is_typeddict(cls)
        or (issubclass(cls, tuple) and hasattr(cast("object", cls), "_fields"))
    )


def _strip(declared: object) -> tuple[object, bool]:
    """A type without what is around it, and whether that tells how to tell a union apart."""
    discriminated = False
    while True:
        if typing.get_origin(declared) is typing.Annotated:
            discriminated = discriminated or any(
                isinstance(each, Discriminator)
                or (isinstance(each, FieldInfo) and each.discriminator is not None)
                for each in cast("Any", declared).__metadata__
            )
            declared = typing.get_args(declared)[0]
        elif hasattr(declared, "__supertype__"):
            declared = cast("Any", declared).__supertype__
        elif hasattr(declared, "__value__") and not isinstance(declared, type):
            declared = cast("Any", declared).__value__
        else:
            return declared, discriminated


def _leaves(declared: object) -> Iterator[object]:
    """The types in containers and unions, without those in classes."""
    declared, _ = _strip(declared)
    origin = typing.get_origin(declared)
    if origin is typing.Literal or declared in (Any, ..., type(None)):
        return
    if origin is _CALLABLE:
        yield origin
        return
    if origin is None or _is_aggregate(origin) or _is_class(origin, Secret):
        yield declared
        return
    for argument in typing.get_args(declared):
        yield from _leaves(argument)


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError:
        # Where pydantic reads the class by these names, it has found that out itself.
        return {}


def _fields(cls: type) -> Mapping[str, FieldInfo]:
    """The fields of a model or of a pydantic dataclass, with names that resolve."""
    try:
        if issubclass(cls, BaseModel):
            cls.model_rebuild()
            return cls.model_fields
        rebuild_dataclass(cast("Any", cls))
    except NameError as exc:
        raise Refusal(cls, f"the name {exc.name!r} in it does not resolve", NAME_MEND) from None
    return cast("Mapping[str, FieldInfo]", cast("Any", cls).__pydantic_fields__)


def _config(cls: type) -> object:
    return getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", {})


def _read_names(name: str, info: FieldInfo, config: Mapping[str, Any]) -> set[str]:
    """The names under which a field is read."""
    alias = info.validation_alias
    names: set[str] = set()
    if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
        names.add(name)
    if config.get("validate_by_alias", True):
        for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            if isinstance(choice, str):
                names.add(choice)
            elif isinstance(choice, AliasPath) and len(choice.path) == 1:
                names.add(str(choice.path[0]))
    return names


def _tags(declared: object) -> dict[str, frozenset[object]]:
    """The fields of a class that can hold a few given values only."""
    cls = cast("type[Any]", _class_of(declared))
    if issubclass(cls, BaseModel) or is_pydantic_dataclass(cls):
        hints = {
            info.serialization_alias or name: info.annotation for name, info in _fields(cls).items()
        }
    else:
        hints = _hints(cls)
    found: dict[str, frozenset[object]] = {}
    for name, hint in hints.items():
        bare, _ = _strip(hint)
        if typing.get_origin(bare) is typing.Literal:
            found[name] = frozenset(typing.get_args(bare))
    return found
