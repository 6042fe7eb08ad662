"""What the user's functions take and give, as their annotations tell (R15, R21)."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass

from resaga.action import is_generator
from resaga.errors import MisuseError
from resaga.response import StepResponse

__all__ = [
    "Extras",
    "Parameter",
    "UnresolvedName",
    "check_function",
    "parameters",
    "response_types",
    "returns",
]


class UnresolvedName(MisuseError):
    """An annotation uses a name that cannot be resolved (yet)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A positional parameter; ``annotation`` is ``inspect.Parameter.empty`` where there is none."""

    name: str
    annotation: object


class Extras:
    """The parameters of a function that its caller does not fill: a provider may inject them.

    Parameters with a default are among them, ``*args`` and ``**kwargs`` are not.

    Args:
        fn: The function.
        given: How many positional parameters its caller fills.
        where: The function, for messages.

    Raises:
        MisuseError: One can be given by position only.
    """

    def __init__(self, fn: Callable[..., object], given: int, *, where: str) -> None:
        self._fn = fn
        self._where = where
        self._declared: dict[str, inspect.Parameter] = {}
        self._annotations: dict[str, object] | None = None
        positional = len(parameters(fn))
        for number, parameter in enumerate(inspect.signature(fn).parameters.values()):
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if number < min(given, positional):
                continue
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise MisuseError(
                    f"{where}: its parameter {parameter.name!r} can be given by position only, and "
                    "what is injected is given by name. Take the slash away."
                )
            self._declared[parameter.name] = parameter

    def __len__(self) -> int:
        return len(self._declared)

    @property
    def required(self) -> list[str]:
        """The names of those without a default."""
        empty = inspect.Parameter.empty
        return [name for name, each in self._declared.items() if each.default is empty]

    def annotations(self) -> dict[str, object]:
        """Their types; read at first use, when all names in them are known.

        Raises:
            UnresolvedName: A name in one of them does not resolve.
        """
        if self._annotations is None:
            self._annotations = {
                name: resolve(
                    self._fn, each.annotation, where=self._where, what=f"parameter {name!r}"
                )
                for name, each in self._declared.items()
            }
        return self._annotations


def check_function(fn: object, *, where: str) -> None:
    """Refuse what can be no step, compensation or workflow (R21)."""
    if not callable(fn):
        raise MisuseError(f"{where} is {fn!r}. Give a function: async def, or plain def.")
    if is_generator(fn):
        raise MisuseError(
            f"{where} is a generator: it contains `yield`, so calling it would run nothing. "
            "Return the result instead."
        )


def parameters(fn: Callable[..., object]) -> tuple[Parameter, ...]:
    """The positional parameters of ``fn``, annotations as they stand in the code."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(
        Parameter(p.name, p.annotation)
        for p in inspect.signature(fn).parameters.values()
        if p.kind in kinds
    )


def resolve(fn: Callable[..., object], annotation: object, *, where: str, what: str) -> object:
    """The type that an annotation of ``fn`` stands for.

    Only the one annotation is evaluated: the others may name things that are there for the type
    checker alone.

    Raises:
        UnresolvedName: A name in it does not resolve.
    """
    if annotation is inspect.Parameter.empty or annotation is None:
        return annotation
    holder = type("holder", (), {"__annotations__": {what: annotation}})
    inner = inspect.unwrap(fn)
    namespace = getattr(inner, "__globals__", {})
    try:
        return typing.get_type_hints(
            holder, globalns=namespace, localns=_closure(inner), include_extras=True
        )[what]
    except NameError as exc:
        raise UnresolvedName(
            f"{where}: the annotation {annotation!r} of {what} uses {exc.name!r}, which is not "
            f"known in module {getattr(inner, '__module__', '?')}. Define or import the type at "
            "module level, outside of `if TYPE_CHECKING:`, so that resaga can read values as it."
        ) from None


def returns(fn: Callable[..., object], *, where: str) -> object:
    """The type that ``fn`` returns, awaited: ``Parameter.empty`` where it is not annotated."""
    annotation = resolve(
        fn, inspect.signature(fn).return_annotation, where=where, what="the result"
    )
    if typing.get_origin(annotation) in (
        collections.abc.Awaitable,
        collections.abc.Coroutine,
    ):
        return typing.get_args(annotation)[-1]
    return annotation


def response_types(annotation: object, *, where: str) -> tuple[object, object]:
    """The types of output and compensation data, from what a step's ``run`` returns."""
    if annotation is StepResponse:
        return inspect.Parameter.empty, inspect.Parameter.empty
    if typing.get_origin(annotation) is StepResponse:
        arguments = typing.get_args(annotation)
        # Where the second one is left to its default, that stands there as a type variable.
        data = arguments[-1]
        return arguments[0], arguments[0] if isinstance(data, typing.TypeVar) else data
    if typing.get_origin(annotation) in (typing.Union, types.UnionType) and any(
        arm is StepResponse or typing.get_origin(arm) is StepResponse
        for arm in typing.get_args(annotation)
    ):
        raise MisuseError(
            f"{where} returns {annotation}: a StepResponse in a union does not tell what stands in "
            "the journal. Annotate StepResponse[Output, Data] and return that from every path."
        )
    return annotation, annotation


def _closure(fn: object) -> dict[str, object]:
    """The names that ``fn`` closes over, so that it may name types of the function around it."""
    code = getattr(fn, "__code__", None)
    cells = getattr(fn, "__closure__", None) or ()
    names: dict[str, object] = {}
    for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            continue  # Not filled yet.
    return names
