"""Importing the app, and what goes wrong there: a definition that is refused is a finding."""

from __future__ import annotations

import ast
import contextlib
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, cast

import restate

from resaga.cli.check.findings import Finding, Place
from resaga.cli.check.refused import refusal
from resaga.cli.check.sagas import Definition, definitions_of
from resaga.cli.check.source import file_at
from resaga.cli.serve.loading import import_app
from resaga.cli.trouble import BadInput
from resaga.errors import MisuseError

__all__ = ["Loaded", "load"]

TWICE: Final = re.compile(r"(?:Service|Handler) (?P<name>\S+) already exists(?: in (?P<in>\S+))?")
"""What the SDK says to a second definition, or handler, of one name."""

KINDS: Final = (restate.Service, restate.VirtualObject, restate.Workflow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What importing has come to.

    Attributes:
        definitions: What the app serves; if it was refused, what it was made of, as far as known.
        findings: Why it was refused.
    """

    definitions: Sequence[Definition]
    findings: Sequence[Finding] = ()


def load(target: str) -> Loaded:
    """Import what ``module:name`` stands for, and find what it serves.

    Raises:
        BadInput: It does not import for another reason than a refused definition, or it serves
            nothing of Restate's.
    """
    try:
        # What is printed there must not stand between the findings.
        with contextlib.redirect_stdout(sys.stderr):
            app = import_app(target)
    except BadInput as error:
        refused = error.__cause__
        if isinstance(refused, MisuseError):
            place = _place(refused.__traceback__)
            finding = refusal(refused, definition=_named_at(place) or target, place=place)
            return Loaded(definitions=(), findings=(finding,))
        twice = TWICE.fullmatch(str(refused)) if _is_sdks(refused) else None
        if twice is not None and refused is not None:
            return _twice(twice, refused)
        raise
    definitions = definitions_of(app)
    if definitions is None:
        raise BadInput(
            f"{target} is no app of Restate's, nor has it one mounted that can be found. Name what "
            "restate.app([...]) gave."
        )
    return Loaded(definitions=definitions)


def _twice(said: re.Match[str], error: BaseException) -> Loaded:
    name, within = said["name"], said["in"]
    place = _place(error.__traceback__)
    if within is not None:
        definition, what = f"{within}/{name}", f"{within} has two handlers named {name!r}"
        definitions: list[Definition] = []
    else:
        definition, what = name, f"the app is given two definitions named {name!r}"
        definitions = _given(error.__traceback__)
    finding = Finding(
        code="RS403",
        definition=definition,
        place=place,
        what=what,
        why="Restate calls a handler by its names, and could not tell the two apart",
        mend=(
            "give one of them another name; of with_services(...) and the definition that it is a "
            "copy of, serve one"
        ),
    )
    once = {each.name: each for each in reversed(definitions)}
    return Loaded(definitions=list(once.values())[::-1], findings=(finding,))


def _is_sdks(error: BaseException | None) -> bool:
    """Whether the SDK itself has refused a value."""
    if not isinstance(error, ValueError):
        return False
    *_, raised = traceback.extract_tb(error.__traceback__)
    return Path(raised.filename).is_relative_to(_RESTATE)


def _given(trace: TracebackType | None) -> list[Definition]:
    """The definitions that ``restate.app`` was given, from its frame."""
    for frame in _frames(trace):
        given: Any = frame.f_locals.get("services")
        if frame.f_globals.get("__name__") == "restate.endpoint" and isinstance(
            given, list | tuple
        ):
            every = cast("Sequence[object]", given)
            return [each for each in every if isinstance(each, KINDS)]
    return []


def _place(trace: TracebackType | None) -> Place | None:
    """The last line of the user's own code in a traceback."""
    for entry in reversed(traceback.extract_tb(trace)):
        file = Path(entry.filename)
        if entry.lineno is not None and not _is_machinery(file):
            return Place(file=file, line=entry.lineno)
    return None


def _named_at(place: Place | None) -> str | None:
    """What is being defined at a line."""
    file = None if place is None else file_at(place.file)
    if place is None or file is None:
        return None
    for node in file.tree.body:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        if first <= place.line <= (node.end_lineno or node.lineno):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    return name
                case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                    return name
                case _:
                    return None
    return None


def _is_machinery(file: Path) -> bool:
    return file.is_relative_to(_RESAGA) or file.is_relative_to(_RESTATE) or "importlib" in str(file)


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


_RESAGA: Final = Path(__file__).parents[2]
_RESTATE: Final = Path(restate.__file__).parent
