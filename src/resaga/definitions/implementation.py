"""Does a handler keep its contract? And what is it called on the wire?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resaga.contracts import Call, as_class, contract_type
from resaga.definitions.handlers import Body
from resaga.errors import MisuseError
from resaga.shapes import type_name

__all__ = ["check_contract", "check_handler_name", "wire_name"]


def check_handler_name(name: object) -> None:
    """Refuse what is no name, a function that was decorated without a call above all (R21)."""
    if name is not None and not isinstance(name, (str, Call)):
        raise MisuseError(
            f"A handler was named {name!r}. Give a name, a contract's call, or nothing; the "
            "decorator is called: @wallet.handler()."
        )


def wire_name(name: str | Call[Any, Any] | None, fn: Callable[..., object]) -> str:
    """A handler's name on the wire: as given, the contract's, or the function's own."""
    if isinstance(name, Call):
        return name.name
    wire = getattr(fn, "__name__", "") if name is None else name
    if not wire:
        raise MisuseError(f"The handler {fn!r} has no name. Give one: @wallet.handler('name').")
    return wire


def check_contract(name: object, definition: str, body: Body[Any, Any]) -> None:
    """Refuse a handler that does not keep the contract's call it is made with (R21, R22).

    Args:
        name: What the user gave as its name; checked if it is a call.
        definition: Name of the definition it is a handler of.
        body: The handler.

    Raises:
        MisuseError: It is another definition's call, or its types are others.
    """
    if not isinstance(name, Call):
        return
    if name.contract != definition:
        raise MisuseError(
            f"{body.where} was given {name}, which is a call of {name.contract or 'no contract'}. "
            f"Give the contract of {definition}, or name the definition {name.contract!r}."
        )
    for what, declared, codec in (
        ("takes", name.input, body.input),
        ("returns", name.output, body.output),
    ):
        if as_class(declared) != as_class(codec.declared):
            raise MisuseError(
                f"{body.where} {what} {type_name(contract_type(codec))}, and its contract says "
                f"{type_name(declared)}. Annotate the function as the contract says, or change "
                "the contract."
            )
