"""All rules over all sagas of an app."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resaga.cli.check.after import Unprotected, unprotected
from resaga.cli.check.effects import Effects
from resaga.cli.check.findings import Finding, Place, Unseen
from resaga.cli.check.flow import AnyStep, is_step, steps_in
from resaga.cli.check.given import missing_parameters, missing_services
from resaga.cli.check.ignores import is_silenced
from resaga.cli.check.namesakes import namesakes
from resaga.cli.check.reading import FlowReader
from resaga.cli.check.retries import endless_retries
from resaga.cli.check.sagas import Definition, SagaHandler, sagas_of
from resaga.cli.check.settings import Settings, bad_settings, declared_settings
from resaga.cli.check.source import file_at, inner_function, source_of
from resaga.cli.check.undoing import ignores_no_data
from resaga.cli.check.unknown import leaves_unknown
from resaga.cli.check.values import refused_types
from resaga.step import step_parts

__all__ = ["Examined", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of it.

    Attributes:
        definitions: What was looked at.
        sagas: The sagas among their handlers.
        steps: The names of the steps that they run.
        findings: What was found, in the order of files and lines.
        silenced: What was found, and is silenced where it is defined.
        unseen: What could not be seen.
    """

    definitions: Sequence[Definition]
    sagas: Sequence[SagaHandler]
    steps: Sequence[str]
    findings: Sequence[Finding]
    silenced: Sequence[Finding]
    unseen: Sequence[Unseen]


def examine(
    definitions: Sequence[Definition],
    refused: Iterable[Finding] = (),
    *,
    at_server: Mapping[str, Settings] | None = None,
) -> Examined:
    """Look at definitions.

    Args:
        definitions: What an app serves.
        refused: What was found when they were imported.
        at_server: The settings that a server has for sagas, by their names.
    """
    found = list(refused)
    sagas = list(sagas_of(definitions))
    effects = Effects()
    reported: set[object] = set()
    unseen: dict[Unseen, None] = {}
    every: dict[int, AnyStep] = {}
    modules: set[str] = set()
    for saga in sagas:
        reader = FlowReader(saga.name)
        flow = reader.body(saga.body)
        unseen.update(dict.fromkeys(reader.unseen))
        steps = {id(one): one for step in steps_in(flow) for one in step.steps}
        every |= steps
        bodies = reader.followed
        modules |= {inner.__module__ for fn in bodies if (inner := inner_function(fn)) is not None}
        for each in unprotected(flow, lambda step: _leaves_effects(step, effects)):
            key = (id(each.step), each.place, each.next)
            if key not in reported:  # A nested workflow may be served on its own, too.
                reported.add(key)
                found.append(_stays_done(saga, each))
        found += namesakes(saga, flow)
        found += missing_services(saga, bodies, steps.values())
        found += missing_parameters(saga, steps.values())
        found += endless_retries(saga, steps.values())
        found += _settings(saga, list(steps.values()), (at_server or {}).get(saga.name))
    run = [step.name for step in every.values()]
    every |= {id(step): step for step in _steps_of(modules)}
    for step in every.values():
        found += ignores_no_data(step)
        found += leaves_unknown(step)
        found += refused_types(step)
    made = _made_at(every.values(), modules)
    placed = [_placed(each, made) for each in dict.fromkeys(found)]
    silenced = [each for each in placed if is_silenced(each)]
    return Examined(
        definitions=definitions,
        sagas=sagas,
        steps=run,
        findings=sorted((each for each in placed if each not in silenced), key=_order),
        silenced=sorted(silenced, key=_order),
        unseen=list(unseen),
    )


def _settings(
    saga: SagaHandler, steps: Sequence[AnyStep], at_server: Settings | None
) -> Iterator[Finding]:
    """What is wrong with the settings of a saga; at the server, what is not declared so."""
    declared = list(bad_settings(saga, steps, declared_settings(saga)))
    yield from declared
    if at_server is not None:
        known = {each.code for each in declared}
        for finding in bad_settings(saga, steps, at_server):
            if finding.code not in known:
                yield finding


def _leaves_effects(step: AnyStep, effects: Effects) -> bool:
    return step_parts(step).compensate is None and effects.of(step)


def _stays_done(saga: SagaHandler, found: Unprotected) -> Finding:
    step, next_ = found.step, found.next
    source = source_of(step_parts(step).run.fn)
    if found.beside:
        follows = f"{next_.what} runs beside it ({next_.place})"
    elif next_.place == found.place:
        follows = "its next round follows"
    else:
        follows = f"{next_.what} follows ({next_.place})"
    return Finding(
        code="RS101",
        definition=f"step {step.name}",
        place=found.place if source is None else source.place,
        what=f"it has no compensation, and in {saga.name} ({found.place}) {follows}",
        why="if that fails for good, the saga rolls back, and what this step did stays done",
        mend=(
            "give it a compensation, run it last, or put saga.pivot() after it; if there is "
            "nothing to undo, silence this where the step is defined"
        ),
        also=(found.place,),
    )


def _steps_of(modules: Iterable[str]) -> Iterator[AnyStep]:
    """The steps that modules know by a name: also those that no flow could be seen to run."""
    for name in modules:
        for value in list(vars(sys.modules[name]).values()) if name in sys.modules else ():
            if is_step(value):
                yield value


def _made_at(steps: Iterable[AnyStep], modules: Iterable[str]) -> dict[str, list[Place]]:
    """Where modules give steps their names: that is where they are defined without decorators."""
    wanted = {id(step): step.name for step in steps}
    places: dict[str, list[Place]] = {}
    functions = {inner.__module__ for s in steps if (inner := inner_function(step_parts(s).run.fn))}
    for name in {*modules, *functions}:
        module = sys.modules.get(name)
        file = None if module is None or not module.__file__ else file_at(Path(module.__file__))
        if module is None or file is None:
            continue
        for node in file.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                value = vars(module).get(target.id) if isinstance(target, ast.Name) else None
                if id(value) in wanted:
                    places.setdefault(f"step {wanted[id(value)]}", []).append(file.place(node))
    return places


def _placed(finding: Finding, made: dict[str, list[Place]]) -> Finding:
    more = made.get(finding.definition, [])
    return replace(finding, also=(*finding.also, *more)) if more else finding


def _order(finding: Finding) -> tuple[str, int, str, str]:
    place = finding.place
    if place is None:
        return ("", 0, finding.code, finding.what)
    return (str(place.file), place.line, finding.code, finding.what)
