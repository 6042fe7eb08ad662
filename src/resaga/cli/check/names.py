"""What the names in a function stand for, as far as that can be known without running it."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any, cast

from resaga.cli.check.source import FunctionNode, FunctionSource, SourceFile

__all__ = ["LocalFunction", "Scope", "inner_scope", "scope_of"]

DEPTH = 12
"""How many names may stand for each other."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalFunction:
    """A function defined in another one, or a lambda: there is no object of it yet."""

    node: FunctionNode
    scope: Scope


@dataclass(slots=True, eq=False)
class Scope:
    """The names that the code of one function sees.

    Attributes:
        file: Where the code is.
        outer: What is known of names that are not the function's own.
        parent: The scope of the function around it, for a `LocalFunction`.
        sagas: The names that stand for the saga.
        parameters: The function's own.
        given: What its parameters may stand for, as far as known.
    """

    file: SourceFile
    outer: Mapping[str, object]
    parent: Scope | None = None
    sagas: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    given: Mapping[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    _values: dict[str, list[ast.expr]] = field(default_factory=dict[str, list[ast.expr]])
    _items: dict[str, list[ast.expr]] = field(default_factory=dict[str, list[ast.expr]])
    _functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(
        default_factory=dict[str, "ast.FunctionDef | ast.AsyncFunctionDef"]
    )
    _others: set[str] = field(default_factory=set[str])
    _busy: set[str] = field(default_factory=set[str])

    def read(self, node: FunctionNode) -> None:
        """Note what the function's own names are given."""
        body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        for each in body:
            for inner in _own_nodes(each):
                self._note(inner)

    def is_saga(self, expr: ast.expr) -> bool:
        """Whether an expression is the saga itself."""
        if not isinstance(expr, ast.Name):
            return False
        if expr.id in self.sagas:
            return True
        if expr.id in self.parameters:
            return False
        values = self._values.get(expr.id)
        if values is not None:
            return any(isinstance(v, ast.Name) and v.id in self.sagas for v in values)
        return self.parent is not None and self.parent.is_saga(expr)

    def literals(self, name: str) -> bool:
        """Whether a name stands for nothing but containers that the function has made itself."""
        values = self._values.get(name, [])
        return bool(values) and all(map(_makes_container, values))

    def outside(self, name: str) -> object:
        """What a name stands for that the function has from the module around it, or ``None``."""
        if any(name in own for own in (self._values, self._items, self._functions, self._others)):
            return None
        if name in self.parameters:
            return None
        return self.outer.get(name) if self.parent is None else self.parent.outside(name)

    def resolve(self, expr: ast.expr, depth: int = DEPTH) -> list[Any]:
        """What an expression may stand for; nothing if that cannot be known."""
        if depth <= 0:
            return []
        match expr:
            case ast.Name(id=name):
                return self._named(name, depth - 1)
            case ast.Attribute(value=base, attr=attribute):
                found = (_attribute(each, attribute) for each in self.resolve(base, depth - 1))
                return [each for group in found for each in group]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.resolve(body, depth - 1), *self.resolve(orelse, depth - 1)]
            case ast.BoolOp(values=values):
                return [each for value in values for each in self.resolve(value, depth - 1)]
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self.resolve(value, depth - 1)
            case ast.Subscript(value=base, slice=key):
                return self._item(base, key, depth - 1)
            case ast.Lambda():
                return [LocalFunction(expr, self)]
            case ast.Constant(value=value):
                return [value]
            case _:
                return []

    def items(self, expr: ast.expr, depth: int = DEPTH) -> list[Any]:
        """What the items of an iterable, or the values of a mapping, may stand for."""
        if depth <= 0:
            return []
        match expr:
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [each for part in parts for each in self._part(part, depth)]
            case ast.Dict(values=values):
                return [each for value in values for each in self.resolve(value, depth - 1)]
            case ast.Name(id=name) if name in self._values:
                return self._items_of_name(name, depth - 1)
            case ast.Call(func=ast.Attribute(value=base, attr="values"), args=[]):
                return self.items(base, depth - 1)
            case _:
                return [each for one in self.resolve(expr, depth) for each in _items_of(one)]

    def _items_of_name(self, name: str, depth: int) -> list[Any]:
        busy = f"items of {name}"
        if busy in self._busy:
            return []
        self._busy.add(busy)
        try:
            return [each for value in self._values[name] for each in self.items(value, depth)]
        finally:
            self._busy.discard(busy)

    def _part(self, part: ast.expr, depth: int) -> list[Any]:
        if isinstance(part, ast.Starred):
            return self.items(part.value, depth - 1)
        return self.resolve(part, depth - 1)

    def _item(self, base: ast.expr, key: ast.expr, depth: int) -> list[Any]:
        if isinstance(key, ast.Constant):
            wanted: Any = key.value
            for one in self.resolve(base, depth):
                if isinstance(one, dict | list | tuple):
                    try:
                        return [cast("Any", one)[wanted]]
                    except (LookupError, TypeError):
                        continue
        return self.items(base, depth)

    def _named(self, name: str, depth: int) -> list[Any]:
        if name in self._functions:
            return [LocalFunction(self._functions[name], self)]
        if name in self._values or name in self._items or name in self._others:
            return self._bound(name, depth)
        if name in self.parameters:
            return self.given.get(name, [])
        if self.parent is not None:
            return self.parent.resolve(ast.Name(id=name), depth)
        if name in self.outer:
            return [self.outer[name]]
        return [getattr(builtins, name)] if hasattr(builtins, name) else []

    def _bound(self, name: str, depth: int) -> list[Any]:
        """What one of the function's own names may have been given."""
        if name in self._busy:
            return []  # It is given what it stands for.
        self._busy.add(name)
        try:
            known = [each for v in self._values.get(name, []) for each in self.resolve(v, depth)]
            items = [each for v in self._items.get(name, []) for each in self.items(v, depth)]
        finally:
            self._busy.discard(name)
        return list({id(each): each for each in (*known, *items)}.values())

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._assign(target, value)
            case (
                ast.For(target=target, iter=source)
                | ast.AsyncFor(target=target, iter=source)
                | ast.comprehension(target=target, iter=source)
            ):
                self._iterate(target, source)
            case ast.withitem(optional_vars=ast.expr() as target):
                self._others.update(_targets(target))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._functions[name] = node
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                self._others.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._others.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                self._others.update((a.asname or a.name).partition(".")[0] for a in aliases)
            case _:
                pass

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._values.setdefault(target.id, []).append(value)
        elif (
            isinstance(target, ast.Tuple)
            and isinstance(value, ast.Tuple)
            and len(target.elts) == len(value.elts)
        ):
            for one, other in zip(target.elts, value.elts, strict=True):
                self._assign(one, other)
        else:
            self._others.update(_targets(target))

    def _iterate(self, target: ast.expr, source: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._items.setdefault(target.id, []).append(source)
        else:
            self._others.update(_targets(target))


def scope_of(
    source: FunctionSource,
    *,
    sagas: frozenset[str] = frozenset(),
    given: Mapping[str, list[Any]] | None = None,
) -> Scope:
    """The scope of a function's code, in which some parameters stand for what they are given."""
    scope = Scope(
        source.file,
        _outer(source),
        sagas=sagas,
        parameters=_parameters(source.node),
        given=given or {},
    )
    scope.read(source.node)
    return scope


def inner_scope(
    local: LocalFunction,
    *,
    sagas: frozenset[str] = frozenset(),
    given: Mapping[str, list[Any]] | None = None,
) -> Scope:
    """The scope of a function that is defined in another one; see `scope_of`."""
    scope = Scope(
        local.scope.file,
        local.scope.outer,
        parent=local.scope,
        sagas=sagas,
        parameters=_parameters(local.node),
        given=given or {},
    )
    scope.read(local.node)
    return scope


def _outer(source: FunctionSource) -> Mapping[str, object]:
    fn: Any = source.fn
    closed: dict[str, object] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False):
        try:
            closed[name] = cell.cell_contents
        except ValueError:
            continue  # Not filled yet.
    return ChainMap(closed, fn.__globals__)


def _parameters(node: FunctionNode) -> frozenset[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    every += [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
    return frozenset(each.arg for each in every)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's own code, without what is inside the functions in it."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return
    for child in ast.iter_child_nodes(node):
        yield from _own_nodes(child)


def _targets(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id


def _attribute(base: object, attribute: str) -> list[Any]:
    """An attribute that is simply there: nothing is computed for it."""
    if isinstance(base, LocalFunction):
        return []
    if isinstance(base, ModuleType):
        found: object = vars(base).get(attribute, _NOTHING)
    else:
        found = inspect.getattr_static(base, attribute, _NOTHING)
    match found:
        case staticmethod():
            return [cast("Any", found).__func__]
        case classmethod():
            owner = base if isinstance(base, type) else type(base)
            return [MethodType(cast("Any", found).__func__, owner)]
        case FunctionType() if not isinstance(base, ModuleType | type):
            is_own = inspect.getattr_static(type(base), attribute, None) is not found
            return [found if is_own else MethodType(found, base)]
        case property():
            return []
        case _:
            return [] if found is _NOTHING else [found]


def _items_of(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[object, object]", value).values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("Sequence[object]", value))
    return []


def _makes_container(expr: ast.expr) -> bool:
    match expr:
        case (
            ast.List()
            | ast.Dict()
            | ast.Set()
            | ast.ListComp()
            | ast.DictComp()
            | ast.SetComp()
            | ast.Call(func=ast.Name(id="list" | "dict" | "set"))
        ):
            return True
        case _:
            return False


_NOTHING = object()
