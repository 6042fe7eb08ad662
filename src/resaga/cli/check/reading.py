"""From the source of a saga's body to its `Flow`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType
from typing import Any, Final, TypeAlias, cast

from restate import TerminalError

from resaga import (
    object_client,
    run_nested_saga,
    service_client,
    workflow_client,
)
from resaga.cli.check.findings import Unseen
from resaga.cli.check.flow import (
    Branches,
    Choice,
    Fails,
    Flow,
    Inline,
    Leave,
    Loop,
    Pivot,
    Seq,
    Step,
    Try,
    is_eventful,
    is_step,
)
from resaga.cli.check.names import LocalFunction, Scope, inner_scope, scope_of
from resaga.cli.check.source import FunctionSource, inner_function, source_of
from resaga.definitions.handlers import Body, handler_parts
from resaga.definitions.restate_workflow import SagaRestateWorkflow
from resaga.definitions.workflow import SagaWorkflow

__all__ = ["FlowReader"]

_Given: TypeAlias = dict[str, list[Any]]

NOTHING: Final = Seq(())

DEPTH: Final = 20
"""How many functions are followed into each other."""

CLIENTS: Final = (workflow_client, service_client, object_client)
"""What they make is called, and a call may fail for good; what is sent is not waited for."""

CALLS: Final = ("service_call", "object_call", "workflow_call", "generic_call")
"""The methods of a Restate context that call another handler."""


class FlowReader:
    """Reads the flow of one saga.

    Attributes:
        followed: The functions that run as a part of it.
        unseen: What could not be followed.
    """

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._within: list[object] = []
        self._known: dict[object, tuple[Flow, _Given]] = {}
        self._awaited: set[int] = set()
        self.followed: list[object] = []
        self.unseen: list[Unseen] = []

    def body(self, body: Body[Any, Any]) -> Flow:
        """The flow of a handler's body."""
        position = body.gets.index("the saga")
        self.followed.append(body.fn)
        source = source_of(body.fn)
        if source is None:
            self.unseen.append(
                Unseen(definition=self._definition, place=None, what="its body has no source")
            )
            return NOTHING
        names = source.parameters[position : position + 1]
        return self._function(source, names, source.given)

    # -- Functions ---------------------------------------------------------------------------

    def _function(self, source: FunctionSource, sagas: Iterable[str], given: _Given) -> Flow:
        scope = scope_of(source, sagas=frozenset(sagas), given=given)
        # Called again with the same, it does the same.
        key = (source.fn, scope.sagas, *((name, *map(id, given[name])) for name in sorted(given)))
        if key not in self._known:
            flow = self._inside(source.fn, source.node.body, scope)
            self._known[key] = flow, given  # What is kept keeps its identity.
        return self._known[key][0]

    def _local(self, local: LocalFunction, sagas: Iterable[str], given: _Given) -> Flow:
        scope = inner_scope(local, sagas=frozenset(sagas), given=given)
        return self._inside(local.node, local.node.body, scope)

    def _inside(self, fn: object, body: list[ast.stmt] | ast.expr, scope: Scope) -> Flow:
        if any(each is fn for each in self._within):
            return NOTHING  # It calls itself: what it does is in the flow already.
        if len(self._within) > DEPTH:
            return NOTHING
        if isinstance(body, ast.expr):
            self._awaited.add(id(body))
        self._within.append(fn)
        try:
            flow = self._block(body, scope) if isinstance(body, list) else self._expr(body, scope)
        finally:
            self._within.pop()
        return Inline(flow) if is_eventful(flow) else NOTHING

    # -- Statements --------------------------------------------------------------------------

    def _block(self, body: Iterable[ast.stmt], scope: Scope) -> Flow:
        return _seq(self._statement(each, scope) for each in body)

    def _statement(self, node: ast.stmt, scope: Scope) -> Flow:
        def block(body: Iterable[ast.stmt]) -> Flow:
            return self._block(body, scope)

        def expr(value: ast.AST | None) -> Flow:
            return self._expr(value, scope)

        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return NOTHING
            case ast.Return(value=value):
                return _seq([expr(value), Leave("return")])
            case ast.Raise():
                return _seq([expr(node.exc), self._raise(node, scope)])
            case ast.Break():
                return Leave("break")
            case ast.Continue():
                return Leave("continue")
            case ast.If(test=test, body=body, orelse=orelse):
                return _seq([expr(test), Choice((block(body), block(orelse)))])
            case ast.For() | ast.AsyncFor():
                return _seq([expr(node.iter), Loop(block(node.body)), block(node.orelse)])
            case ast.While(test=test, body=body, orelse=orelse):
                endless = isinstance(test, ast.Constant) and bool(test.value)
                loop = Loop(_seq([expr(test), block(body)]), endless=endless)
                return _seq([loop, block(orelse)])
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                return _seq([*(expr(item.context_expr) for item in items), block(body)])
            case ast.Try() | ast.TryStar():
                return Try(
                    block(node.body),
                    tuple(block(handler.body) for handler in node.handlers),
                    block(node.orelse),
                    block(node.finalbody),
                )
            case ast.Match(subject=subject, cases=cases):
                arms = [_seq([expr(case.guard), block(case.body)]) for case in cases]
                if not any(_takes_all(case) for case in cases):
                    arms.append(NOTHING)
                return _seq([expr(subject), Choice(tuple(arms))])
            case _:
                return _seq(expr(child) for child in ast.iter_child_nodes(node))

    def _raise(self, node: ast.Raise, scope: Scope) -> Flow:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        kinds = [] if raised is None else scope.resolve(raised)
        if any(isinstance(kind, type) and issubclass(kind, TerminalError) for kind in kinds):
            return Fails("a terminal error", scope.file.place(node), always=True)
        return Leave("raise")

    # -- Expressions -------------------------------------------------------------------------

    def _expr(self, node: ast.AST | None, scope: Scope) -> Flow:
        match node:
            case None | ast.Lambda():
                return NOTHING
            case ast.Await(value=value):
                self._awaited.add(id(value))
                return self._expr(value, scope)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                arms = Choice((self._expr(body, scope), self._expr(orelse, scope)))
                return _seq([self._expr(test, scope), arms])
            case ast.BoolOp(values=[first, *rest]):
                arms = Choice((_seq(self._expr(each, scope) for each in rest), NOTHING))
                return _seq([self._expr(first, scope), arms])
            case (
                ast.ListComp(elt=elt, generators=generators)
                | ast.SetComp(elt=elt, generators=generators)
                | ast.GeneratorExp(elt=elt, generators=generators)
            ):
                return self._comprehension([elt], generators, scope)
            case ast.DictComp(key=key, value=value, generators=generators):
                return self._comprehension([key, value], generators, scope)
            case ast.Call():
                return self._call(node, scope)
            case _:
                return _seq(self._expr(child, scope) for child in ast.iter_child_nodes(node))

    def _comprehension(
        self, values: list[ast.expr], generators: list[ast.comprehension], scope: Scope
    ) -> Flow:
        inner = [self._expr(test, scope) for each in generators for test in each.ifs]
        inner += [self._expr(each.iter, scope) for each in generators[1:]]
        inner += [self._expr(value, scope) for value in values]
        return _seq([self._expr(generators[0].iter, scope), Loop(_seq(inner))])

    def _call(self, node: ast.Call, scope: Scope) -> Flow:
        if isinstance(node.func, ast.Attribute) and scope.is_saga(node.func.value):
            return self._of_saga(node, node.func.attr, scope)
        arguments = _seq(self._expr(each, scope) for each in _arguments(node))
        return _seq([self._expr(node.func, scope), arguments, self._called(node, scope)])

    def _of_saga(self, node: ast.Call, method: str, scope: Scope) -> Flow:
        self._awaited.update(map(id, node.args))
        arms = tuple(self._expr(each, scope) for each in _arguments(node))
        match method:
            case "pivot":
                return Pivot()
            case "gather":
                return Branches(tuple(arm for arm in arms if arm != NOTHING))
            case _:
                return _seq(arms)

    def _called(self, node: ast.Call, scope: Scope) -> Flow:
        """What a call does itself, when its arguments are there."""
        place = scope.file.place(node)
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "run_as_step":
                return self._run_as_step(node.func.value, node, scope)
            if node.func.attr in CALLS:
                return Fails("a call of another handler", place)
        found = scope.resolve(node.func)
        steps = tuple(one for one in found if is_step(one))
        if steps:
            return Step(steps, place)
        if any(one is map for one in found) and node.args:
            inner = [one for one in scope.resolve(node.args[0]) if _runs_steps(one)]
            return Loop(self._any_of(inner, node, scope, args=[])) if inner else NOTHING
        words = [word.value for word in node.keywords]
        if not any(map(scope.is_saga, (*node.args, *words))):
            # A function defined in here has the saga anyway.
            locals_ = [one for one in found if isinstance(one, LocalFunction)]
            return self._any_of(locals_, node, scope) if locals_ else NOTHING
        if any(one is client for one in found for client in CLIENTS):
            return Fails("a call of another saga or service", place)
        if any(one is run_nested_saga for one in found):
            inner = [each for arg in node.args[1:2] for each in scope.resolve(arg)]
            return self._any_of(inner, node, scope, args=node.args[:1])
        return self._any_of(found, node, scope)

    def _run_as_step(self, workflow: ast.expr, node: ast.Call, scope: Scope) -> Flow:
        for one in scope.resolve(workflow):
            if isinstance(one, SagaWorkflow | SagaRestateWorkflow):
                parts = handler_parts(cast("Any", one).run)
                if parts is not None:
                    return self.body(parts.body)
        return self._unknown(node, scope)

    def _any_of(
        self,
        found: Iterable[object],
        node: ast.Call,
        scope: Scope,
        *,
        args: list[ast.expr] | None = None,
    ) -> Flow:
        """The flow of what may be called with these arguments, by default the call's own."""
        flows: list[Flow] = []
        words = {} if args is not None else {w.arg: w.value for w in node.keywords if w.arg}
        args = node.args if args is None else args
        for one in found:
            if is_step(one):
                flows.append(Step((one,), scope.file.place(node)))
            elif isinstance(one, LocalFunction):
                every = [*one.node.args.posonlyargs, *one.node.args.args]
                bound = dict(zip((each.arg for each in every), args, strict=False)) | words
                flows.append(self._local(one, *_given(bound, scope)))
            elif _is_known(one):
                flows.append(NOTHING)
            elif source := source_of(one):
                bound = dict(zip(source.parameters, args, strict=False)) | words
                sagas, given = _given(bound, scope)
                self.followed.append(one)
                flows.append(self._function(source, sagas, {**source.given, **given}))
        if not flows:
            return self._unknown(node, scope)
        return flows[0] if len(flows) == 1 else Choice(tuple(flows))

    def _unknown(self, node: ast.Call, scope: Scope) -> Flow:
        place = scope.file.place(node)
        what = f"what {ast.unparse(node.func)}(...) does with the saga"
        self.unseen.append(Unseen(definition=self._definition, place=place, what=what))
        if id(node) not in self._awaited:
            return NOTHING  # It runs no step here and now.
        return Fails(f"{ast.unparse(node.func)}(...)", place)


def _is_known(called: object) -> bool:
    """Whether it runs no steps: Python's own functions, and resaga's that are not named above."""
    inner = inner_function(called)
    owner = inner if inner is not None else called if isinstance(called, type) else type(called)
    module = str(owner.__module__)
    if inner is None and isinstance(called, BuiltinFunctionType):
        return True
    return module == "builtins" or module.partition(".")[0] == "resaga"


def _given(bound: Mapping[str, ast.expr], scope: Scope) -> tuple[list[str], _Given]:
    """The parameters that are given the saga, and what the others are given."""
    sagas = [name for name, value in bound.items() if scope.is_saga(value)]
    return sagas, {name: found for name, v in bound.items() if (found := scope.resolve(v))}


def _runs_steps(called: object) -> bool:
    return is_step(called) or isinstance(called, LocalFunction)


def _arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(word.value for word in node.keywords)]


def _takes_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and not case.pattern.pattern


def _seq(parts: Iterable[Flow]) -> Flow:
    flat: list[Flow] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Seq) else [part])
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))
