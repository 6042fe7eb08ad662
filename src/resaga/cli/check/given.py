"""RS201 to RS203: services and parameters that sagas and steps need, and what they are given."""

from __future__ import annotations

import collections.abc
import contextlib
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

from typing_extensions import get_protocol_members, is_protocol

from resaga.cli.check.findings import Finding, Place
from resaga.cli.check.flow import AnyStep
from resaga.cli.check.kinds import is_kind_of
from resaga.cli.check.sagas import SagaHandler
from resaga.cli.check.source import inner_function, source_of
from resaga.contexts import CompensationContext, StepContext
from resaga.definitions.options import SagaOptions
from resaga.errors import MisuseError
from resaga.saga import Saga
from resaga.services import scopes_of
from resaga.shapes import type_name
from resaga.signature import parameters, resolve, returns
from resaga.step import step_parts

__all__ = ["missing_parameters", "missing_services"]

MENDS = (
    "give the definition services= or services_from=, or serve a copy made with "
    "with_services(provider)"
)

YIELDING = (
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    contextlib.AbstractAsyncContextManager,
)
"""What a provider may be annotated to return, with the services as first argument."""


def missing_services(
    saga: SagaHandler, bodies: Iterable[object], steps: Iterable[AnyStep]
) -> Iterator[Finding]:
    """Find services that a saga, or something in it, needs, and that it is not given.

    Args:
        saga: The saga.
        bodies: The functions that run as a part of it, its own among them.
        steps: Its steps.
    """
    needed: dict[Any, str] = {}
    for fn in bodies:
        _need(needed, fn, Saga, "" if fn is saga.body.fn else _called(fn))
    for step in steps:
        parts = step_parts(step)
        _need(needed, parts.run.fn, StepContext, f"step {step.name}")
        if parts.compensate is not None:
            _need(needed, parts.compensate.fn, CompensationContext, f"step {step.name}")
    for services, who in needed.items():
        found = _unmet(saga.options, services)
        if found is None:
            continue
        code, what, mend = found
        needs = f"{who} in it needs" if who else "it needs"
        yield Finding(
            code=code,
            definition=saga.name,
            place=saga.place,
            what=f"{needs} {type_name(services)} as services, and {what}",
            why="using them raises an error in every attempt, and Restate retries for ever",
            mend=mend,
        )


def missing_parameters(saga: SagaHandler, steps: Iterable[AnyStep]) -> Iterator[Finding]:
    """Find parameters of a saga's steps that its provider does not inject."""
    scopes = scopes_of(saga.options.services_from)
    for step in steps:
        parts = step_parts(step)
        for code in (parts.run, parts.compensate):
            if code is None:
                continue
            try:
                code.check_for(scopes)
            except MisuseError as refused:
                told, _, mend = str(refused).partition(". ")
                source = source_of(code.fn)
                yield Finding(
                    code="RS203",
                    definition=f"step {step.name}",
                    place=saga.place if source is None else source.place,
                    what=f"in {saga.name}, {_lower(told)}",
                    why="the step raises this in every attempt, and Restate retries for ever",
                    mend=_lower(mend) or "give the saga a provider that injects it",
                    also=_places(saga.place),
                )


def _need(needed: dict[Any, str], fn: object, kind: type[object], who: str) -> None:
    """Note the services that a function's first parameter, a ``kind`` of them, asks for."""
    inner = inner_function(fn)
    taken = () if inner is None else parameters(cast("Callable[..., object]", fn))
    if inner is None or not taken:
        return
    try:
        declared = resolve(inner, taken[0].annotation, where="a function", what="the saga")
    except MisuseError:
        return
    origin = typing.get_origin(declared)
    if isinstance(origin, type) and issubclass(origin, kind):
        services = typing.get_args(declared)[0]
        if services not in (object, Any, None, type(None)) and not isinstance(services, TypeVar):
            needed.setdefault(services, who)


def _unmet(options: SagaOptions, needed: Any) -> tuple[str, str, str] | None:
    """Code, fault and mend, if a definition's services are not what is needed."""
    if options.services is None and options.services_from is None:
        return "RS201", "nobody gives it any", MENDS
    if options.services_from is None:
        given: object = type(options.services)
        missing = _lacks(given, needed, options.services)
        where = "services="
    else:
        given = _provided(options.services_from)
        missing = None if given is None else _lacks(given, needed)
        where = "services_from="
    if missing is None:
        return None
    what = f"{where} gives {type_name(given)}{missing}"
    return "RS202", what, f"give it {type_name(needed)}, or annotate what it is given"


def _lacks(given: object, needed: Any, instance: object = None) -> str | None:
    """What ``given`` lacks to be ``needed``; ``None`` if nothing, or if that cannot be told."""
    given = typing.get_origin(given) or given
    needed = typing.get_origin(needed) or needed
    if not isinstance(given, type) or not isinstance(needed, type) or given in (object, type(None)):
        return None
    if is_protocol(needed):
        if is_protocol(given):
            return None
        have = {*dir(given), *_annotated(given), *dir(instance)}
        lost = sorted(get_protocol_members(needed) - have)
        return f", which has no {', '.join(lost)}" if lost else None
    if is_kind_of(given, [needed]) is not False or hasattr(given, "__getattr__"):
        return None
    return ""


def _annotated(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in vars(base).get("__annotations__", ())}


def _provided(provider: object) -> object:
    """What a provider gives, as its annotation tells; ``None`` if it does not."""
    inner = inner_function(provider)
    if inner is None:
        return None
    try:
        declared = returns(cast("Callable[..., object]", inner), where="a provider")
    except MisuseError:
        return None
    if typing.get_origin(declared) not in YIELDING:
        return None
    given = typing.get_args(declared)[0]
    return None if given is Any or isinstance(given, TypeVar) else given


def _called(fn: object) -> str:
    return str(getattr(fn, "__qualname__", fn))


def _lower(text: str) -> str:
    text = text.removesuffix(".")
    return text[:1].lower() + text[1:]


def _places(place: Place | None) -> tuple[Place, ...]:
    return () if place is None else (place,)
