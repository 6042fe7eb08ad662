"""What an action takes and returns, as its signature says, and the codecs for that (R15, R16)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from msgspec import UNSET, UnsetType

from resaga.contexts import CompensationContext
from resaga.errors import CodecError, MisuseError
from resaga.ext.sql.checks import AnyStep
from resaga.serde import Codec, codec_for
from resaga.signature import check_function, resolve, returns

__all__ = ["ActionTypes", "types_of"]

NOTHING: Final = "null"
"""``None``, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTypes:
    """How to keep what an action returns.

    Attributes:
        result: For what it returns.
        stored: For what the forward action has returned; None in the forward action itself.
        where: Whose action it is, for errors.
    """

    result: Codec[Any]
    stored: Codec[Any] | None
    where: str

    @property
    def returns_nothing(self) -> bool:
        """Whether it is declared to return ``None``, so that there is nothing to keep."""
        return self.result.declared is type(None)

    def write(self, value: object) -> str:
        """The result as JSON.

        Raises:
            CodecError: It would not come back as it is.
        """
        try:
            return self.result.encode(value).decode()
        except CodecError as exc:
            fault = str(exc)
        raise CodecError(
            f"{self.where}: what its action returned cannot be stored: {fault}. The transaction "
            "was rolled back, so nothing has happened."
        )

    def read(self, kept: str | None) -> object:
        """The result that was kept, as the same type.

        Raises:
            CodecError: It is none of the declared type.
        """
        return self._read(self.result, kept, "the stored result of its first run")

    def read_stored(self, kept: str | None) -> object:
        """The forward action's result, as the type that the compensation takes.

        Raises:
            CodecError: It is none of that type.
        """
        assert self.stored is not None
        return self._read(self.stored, kept, "the stored result of the step")

    def _read(self, codec: Codec[Any], kept: str | None, what: str) -> object:
        try:
            return cast("object", codec.decode((kept or NOTHING).encode()))
        except CodecError as exc:
            fault = str(exc)
        raise CodecError(
            f"{self.where}: {what} does not fit the type declared now: {fault}. Declare the type "
            "that the step returned when it ran."
        )


def types_of(
    action: Callable[..., object],
    step: AnyStep,
    *,
    arguments: int,
    result_type: object | UnsetType,
    stored_type: object | UnsetType,
    where: str,
) -> ActionTypes:
    """Look at an action before it is called.

    Args:
        action: The user's function.
        step: Whose it is.
        arguments: How many arguments it will be called with, besides session and stored result.
        result_type: What it returns, where its annotation does not say.
        stored_type: What the forward action returned, where the annotation does not say.
        where: The same as ``step``, for errors.

    Raises:
        MisuseError: It cannot be called like that.
        UnsupportedTypeError: A type in it cannot be kept.
    """
    undoes = isinstance(step, CompensationContext)
    check_function(action, where=f"{where}: its action")
    if stored_type is not UNSET and not undoes:
        raise MisuseError(
            f"{where}: stored_type= is for the barrier in a compensation, which is given the "
            "stored result. Leave it out here."
        )
    signature = inspect.signature(action)
    expected = "session, stored" if undoes else "session"
    places = 1 + undoes
    try:
        bound = signature.bind(*[None] * (places + arguments))
    except TypeError as exc:
        raise MisuseError(
            f"{where}: its action cannot be called as action({expected}, ...) with {arguments} "
            f"more: {exc}. What follows `action` in the call of the barrier is passed on to it; "
            "the session"
            + (" and the stored result of the step come first." if undoes else " comes first.")
        ) from None
    plain = _unwrapped(action)
    stored = None
    if undoes:
        if stored_type is UNSET:
            # A parameter taken as *args has no name of its own among the arguments.
            name = list(bound.arguments)[1] if len(bound.arguments) > 1 else ""
            parameter = signature.parameters.get(name)
            annotation = inspect.Parameter.empty if parameter is None else parameter.annotation
            stored_type = resolve(plain, annotation, where=where, what=f"parameter {name!r}")
        stored = codec_for(stored_type, where=f"{where}, the stored result")
    if result_type is UNSET:
        result_type = returns(plain, where=where)
    result = codec_for(result_type, where=f"{where}, the result of its action")
    return ActionTypes(result=result, stored=stored, where=where)


def _unwrapped(action: Callable[..., object]) -> Callable[..., object]:
    """The function in a partial: its module knows the names in the annotations."""
    while isinstance(action, functools.partial):
        action = cast("functools.partial[object]", action).func
    return action
