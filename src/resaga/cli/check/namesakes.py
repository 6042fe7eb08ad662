"""RS103: two steps of one name in one saga, which nothing that is told of it can tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from resaga.cli.check.findings import Finding, Place
from resaga.cli.check.flow import (
    AnyStep,
    Branches,
    Choice,
    Flow,
    Inline,
    Loop,
    Seq,
    Step,
    Try,
)
from resaga.cli.check.sagas import SagaHandler
from resaga.cli.check.source import source_of
from resaga.step import step_parts

__all__ = ["namesakes"]

_Run: TypeAlias = tuple[AnyStep, Place]
"""A step, and where it is run."""

_Known: TypeAlias = Mapping[str, Mapping[int, _Run]]
"""The steps of a flow, by name and identity."""

_Pairs: TypeAlias = dict[tuple[int, int], tuple[_Run, _Run]]
"""Those that clash, by their identities."""


def namesakes(saga: SagaHandler, flow: Flow) -> Iterator[Finding]:
    """Find steps that share a name, and that one run of the saga may run both of.

    Steps of which either the one or the other is run may share a name.
    """
    pairs: _Pairs = {}
    _read(flow, pairs)
    for (one, at), (other, there) in pairs.values():
        source = source_of(step_parts(other).run.fn)
        yield Finding(
            code="RS103",
            definition=f"step {other.name}",
            place=there if source is None else source.place,
            what=f"in {saga.name} it runs ({there}) beside another step of this name ({at})",
            why="journals, `resaga show`, observers and error messages cannot tell the two apart",
            mend="give one of them another name",
            also=tuple(place for place in (at, there, _place(one)) if place is not None),
        )


def _read(flow: Flow, pairs: _Pairs) -> _Known:
    match flow:
        case Step(steps=steps, place=place):
            known: dict[str, dict[int, _Run]] = {}
            for step in steps:
                known.setdefault(step.name, {})[id(step)] = (step, place)
            return known
        case Seq(parts=parts) | Branches(arms=parts):
            return _together([_read(part, pairs) for part in parts], pairs)
        case Choice(arms=arms):
            return _united([_read(arm, pairs) for arm in arms])
        case Loop(body=body) | Inline(body=body):
            return _read(body, pairs)
        case Try(body=body, handlers=handlers, orelse=orelse, final=final):
            handled = _united([_read(handler, pairs) for handler in handlers])
            rest = [_read(body, pairs), handled, _read(orelse, pairs), _read(final, pairs)]
            return _together(rest, pairs)
        case _:
            return {}


def _together(parts: Sequence[_Known], pairs: _Pairs) -> _Known:
    """What several parts know that are all run; those that clash are noted."""
    for number, part in enumerate(parts):
        for later in parts[number + 1 :]:
            for name in part.keys() & later.keys():
                if part[name].keys().isdisjoint(later[name]):
                    (one, at), (other, there) = _any(part[name]), _any(later[name])
                    key = (min(id(one), id(other)), max(id(one), id(other)))
                    pairs.setdefault(key, ((one, at), (other, there)))
    return _united(parts)


def _united(parts: Sequence[_Known]) -> _Known:
    united: dict[str, dict[int, _Run]] = {}
    for part in parts:
        for name, steps in part.items():
            united.setdefault(name, {}).update(steps)
    return united


def _any(steps: Mapping[int, _Run]) -> _Run:
    return next(iter(steps.values()))


def _place(step: AnyStep) -> Place | None:
    source = source_of(step_parts(step).run.fn)
    return None if source is None else source.place
