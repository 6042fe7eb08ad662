"""The definitions that an app serves, and the sagas among their handlers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, TypeAlias, cast

import restate
from restate.endpoint import Endpoint

from resaga.cli.check.findings import Place
from resaga.cli.check.source import source_of
from resaga.definitions.handlers import Body, handler_parts
from resaga.definitions.options import SagaOptions

__all__ = ["Definition", "SagaHandler", "definitions_of", "sagas_of"]

Definition: TypeAlias = restate.Service | restate.VirtualObject | restate.Workflow

DEPTH = 6
"""How many applications may stand around the one that Restate calls."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SagaHandler:
    """A handler that runs a saga.

    Attributes:
        definition: What it is a handler of.
        handler: Its name on the wire.
        body: The user's function.
        options: resaga's options.
    """

    definition: Definition
    handler: str
    body: Body[Any, Any]
    options: SagaOptions

    @property
    def name(self) -> str:
        """What people call it: ``Checkout``, ``Wallet/transfer``."""
        alone = not isinstance(self.definition, restate.VirtualObject)
        return self.definition.name if alone else f"{self.definition.name}/{self.handler}"

    @property
    def place(self) -> Place | None:
        """Where its body is."""
        source = source_of(self.body.fn)
        return None if source is None else source.place


def definitions_of(app: object) -> list[Definition] | None:
    """What an application serves; ``None`` if it is not one of Restate's, nor has one mounted.

    The SDK keeps its endpoint in the closure of the application, so that is looked for there; and
    in the routes of an application that has it mounted.
    """
    endpoint = _endpoint(app, DEPTH, set())
    return None if endpoint is None else list(endpoint.services.values())


def sagas_of(definitions: Sequence[Definition]) -> Iterator[SagaHandler]:
    """The sagas among the handlers of definitions."""
    for definition in definitions:
        for name, handler in cast("Mapping[str, Any]", cast("Any", definition).handlers).items():
            parts = handler_parts(handler.fn)
            if parts is not None and parts.options is not None:
                yield SagaHandler(
                    definition=definition, handler=name, body=parts.body, options=parts.options
                )


def _endpoint(value: object, depth: int, seen: set[int]) -> Endpoint | None:
    if isinstance(value, Endpoint):
        return value
    if depth == 0 or id(value) in seen or isinstance(value, str | bytes | int | float | type):
        return None
    seen.add(id(value))
    for inner in _inside(value):
        found = _endpoint(inner, depth - 1, seen)
        if found is not None:
            return found
    return None


def _inside(value: object) -> Iterator[object]:
    """What an application may keep another one in."""
    if isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                continue
        wrapped: object = getattr(value, "__wrapped__", None)
        yield from [] if wrapped is None else [wrapped]
        return
    if isinstance(value, list | tuple):
        yield from cast("Sequence[object]", value)
        return
    for name in ("app", "application", "router", "routes", "_app"):
        inner = getattr(value, name, None)
        if inner is not None:
            yield inner
