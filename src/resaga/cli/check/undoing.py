"""RS102: compensations that take their data for granted.

A hybrid step's compensation also runs when the step failed, or nobody knows how it ended. Then
there is no data, and it is given the step's input instead (R12).
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
from typing_extensions import is_protocol

from resaga.cli.check.findings import Finding
from resaga.cli.check.flow import AnyStep
from resaga.cli.check.kinds import is_kind_of
from resaga.cli.check.source import FunctionSource, source_of
from resaga.errors import MisuseError
from resaga.shapes import type_name
from resaga.signature import parameters, resolve, response_types, returns
from resaga.step import step_parts

__all__ = ["ignores_no_data", "types_of"]

TELLING: typing.Final = frozenset(("has_data", "outcome", "failed", "forward_idempotency_key"))
"""The fields of a compensation's context by which it can tell what there is to undo."""

ASKING: typing.Final = frozenset(("isinstance", "issubclass", "type", "hasattr", "getattr"))
"""The functions that tell data and input apart."""


def ignores_no_data(step: AnyStep) -> Iterator[Finding]:
    """Find it, if the step's compensation does."""
    compensate = step_parts(step).compensate
    if compensate is None or step.options.strict:
        return
    source = source_of(compensate.fn)
    if source is None or len(source.parameters) < 2:
        return
    known = types_of(step)
    if known is None:
        return
    data, taken = known
    if data is taken or data == taken:
        if _is_record(data):
            return  # Whichever it is given, its fields mean the same.
    elif data in (None, type(None)):
        return  # It leaves no data: it is always the input.
    context, name = source.parameters[:2]
    if _asks(source, context, name):
        return
    declared, uses = _declared(compensate.fn), _uses(source, name)
    if not uses and _reads_input(source, context):
        return
    if not _admits(declared, taken):
        what = f"its compensation {source.node.name} takes {type_name(declared)} only"
    elif uses:
        what = f"its compensation {source.node.name} uses {name!r} without asking what it is"
    else:
        return
    given = "None, as it takes no input" if taken is None else f"the input ({_said(taken)})"
    yield Finding(
        code="RS102",
        definition=f"step {step.name}",
        place=source.place,
        what=what,
        why=(
            "it also runs when the step failed or its outcome is unknown; then the step has left "
            f"no data ({_said(data)}), and {name!r} is {given}"
        ),
        mend=(
            f"ask {context}.has_data, and where there is none undo by {context}.input and "
            f"{context}.forward_idempotency_key; or make it a strict step, if nothing needs "
            "undoing unless it completed"
        ),
    )


def types_of(step: AnyStep) -> tuple[Any, Any] | None:
    """The declared types of a step's data and of its input (``None``: it takes none)."""
    parts = step_parts(step)
    run, where = parts.run.fn, f"step {step.name!r}"
    try:
        _, data = response_types(returns(run, where=where), where=where)
        if not parts.takes_input:
            return data, None
        declared = parameters(run)[1].annotation
        return data, resolve(run, declared, where=where, what="the input")
    except MisuseError:
        return None  # The rules on types tell.


def _declared(compensate: Callable[..., object]) -> object:
    """How a compensation's data is annotated."""
    try:
        annotation = parameters(compensate)[1].annotation
        return resolve(compensate, annotation, where="a compensation", what="its data")
    except (MisuseError, IndexError):
        return inspect.Parameter.empty


def _admits(declared: object, taken: object) -> bool:
    """Whether an annotation admits the input; in doubt it does."""
    arms, inputs = _arms(declared), _arms(taken)
    if any(typing.get_args(arm) for arm in (*arms, *inputs)):
        return True
    if any(_is_open(each) for each in (*arms, *inputs)):
        return True
    if any(isinstance(arm, type) and is_protocol(arm) for arm in arms):
        return True
    kinds = [*arms, int] if float in arms else arms
    return all(is_kind_of(each, kinds) is not False for each in inputs)


def _arms(declared: object) -> list[object]:
    union = typing.get_origin(declared) in (typing.Union, types.UnionType)
    arms = typing.get_args(declared) if union else (declared,)
    return [type(None) if arm is None else arm for arm in arms]


def _is_record(declared: object) -> bool:
    """Whether its values, or those in it, have named fields, which say what they mean."""
    if any(map(_is_record, typing.get_args(declared))):
        return True
    kind: object = typing.get_origin(declared) or declared
    if not isinstance(kind, type):
        return False
    cls = cast("type[object]", kind)
    return (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, msgspec.Struct)
        or typing.is_typeddict(cls)
        or hasattr(cls, "model_fields")
        or hasattr(cls, "_fields")
    )


def _is_open(declared: object) -> bool:
    """Whether it may be anything."""
    return any(declared is each for each in (Any, object, inspect.Parameter.empty))


def _said(declared: object) -> str:
    return "of whatever type" if _is_open(declared) else type_name(declared)


def _uses(source: FunctionSource, data: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == data and isinstance(node.ctx, ast.Load)
        for statement in source.node.body
        for node in ast.walk(statement)
    )


def _reads_input(source: FunctionSource, context: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "input" and _is(node.value, context)
        for statement in source.node.body
        for node in ast.walk(statement)
    )


def _asks(source: FunctionSource, context: str, data: str) -> bool:
    """Whether it tells data and input apart, or hands its context to something that may."""
    reached: set[int] = set()
    for statement in source.node.body:
        for node in ast.walk(statement):
            match node:
                case ast.Attribute(value=ast.Name(id=name) as base, attr=attribute):
                    if name == context:
                        reached.add(id(base))
                        if attribute in TELLING:
                            return True
                case ast.Match(subject=subject) if _mentions(subject, data):
                    return True
                case ast.Call(func=ast.Name(id=name), args=[first, *_]):
                    if name in ASKING and _mentions(first, data):
                        return True
                case ast.Compare(left=left, comparators=others):
                    if any(_is(each, data) for each in (left, *others)):
                        return True
                case (
                    ast.If(test=test)
                    | ast.IfExp(test=test)
                    | ast.While(test=test)
                    | ast.Assert(test=test)
                ):
                    if _tests(test, data):
                        return True
                case _:
                    pass
    return any(
        isinstance(node, ast.Name) and node.id == context and id(node) not in reached
        for statement in source.node.body
        for node in ast.walk(statement)
    )


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _tests(test: ast.expr, name: str) -> bool:
    """Whether a condition is whether there is anything."""
    match test:
        case ast.UnaryOp(operand=operand):
            return _tests(operand, name)
        case ast.BoolOp(values=values):
            return any(_tests(each, name) for each in values)
        case ast.NamedExpr(value=value):
            return _tests(value, name)
        case _:
            return _is(test, name)
