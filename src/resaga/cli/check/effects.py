"""Does an action have effects? As far as its source tells; where there is none, it is taken to.

An effect is a call, or a change, of something that the action has not made itself. Not counted are
calls that ask or compute, by what is called and by its name: `session.scalar(...)` asks, as does
`load_customer(...)`; `inventory.reserve(...)` does something. An action that does nothing, and
does not ask or refuse either, also not by its name, is taken to have effects: it is a sketch of one
that will.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias

from resaga.cli.check.flow import AnyStep
from resaga.cli.check.names import LocalFunction, Scope, inner_scope, scope_of
from resaga.cli.check.source import FunctionNode, inner_function, source_of
from resaga.cli.check.vocabulary import (
    ASKING,
    CHANGING_BUILTINS,
    COMPUTES,
    COMPUTING_MODULES,
    DOING,
    FILLS,
    LOGGERS,
)
from resaga.step import step_parts

__all__ = ["Effects", "acts"]

WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_TABLES: Final = (Mapping, AbstractSet, list)
"""What an action may look something up in."""

DEPTH: Final = 12
"""How many of the user's functions are followed into each other."""


class Effects:
    """Tells of steps whether they have effects, each function looked at once."""

    def __init__(self) -> None:
        self._functions: _Functions = {}

    def of(self, step: AnyStep) -> bool:
        """Whether its action, or durable body, has effects."""
        run, seen = step_parts(step).run.fn, _Seen()
        acts = _in_function(run, DEPTH, seen, self._functions)
        return acts or not (seen.asks or _asks(getattr(run, "__name__", "")))


def acts(node: ast.AST, scope: Scope) -> bool:
    """Whether some code of a function, seen in its scope, has effects."""
    return _Action(scope, DEPTH, _Seen(), {}).has(node)


@dataclass(slots=True)
class _Seen:
    """Whether an action, or what it calls, asks somebody or something, or refuses."""

    asks: bool = False


_Functions: TypeAlias = dict[object, tuple[bool, _Seen]]
"""What is known of functions; of one that is being looked at, nothing yet."""


def _in_function(fn: object, depth: int, seen: _Seen, known: _Functions) -> bool:
    source = source_of(fn)
    if source is None or depth == 0:
        return True
    if source.fn not in known:
        inner = _Seen()
        known[source.fn] = (False, inner)
        acts = _Action(scope_of(source), depth, inner, known).has_effects(source.node)
        known[source.fn] = (acts, inner)
    acts, inner = known[source.fn]
    seen.asks |= inner.asks
    return acts


class _Action:
    def __init__(self, scope: Scope, depth: int, seen: _Seen, known: _Functions) -> None:
        self._scope = scope
        self._depth = depth
        self._seen = seen
        self._known = known

    def has_effects(self, node: FunctionNode) -> bool:
        """Whether a function's body has."""
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        return any(map(self.has, body))

    def has(self, node: ast.AST) -> bool:
        """Whether this has effects."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                return False  # Looked at where it is called.
            case ast.Raise() | ast.Assert():
                self._seen.asks = True
                return False
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                # Something is opened; what is done with it counts.
                opened = (child for each in items for child in _arguments(each.context_expr))
                return any(map(self.has, opened)) or any(map(self.has, body))
            case ast.Assign(targets=targets) if any(map(self._changes, targets)):
                return True
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target) if self._changes(
                target
            ):
                return True
            case ast.Delete(targets=targets):
                return any(map(self._changes, targets))
            case ast.Global() | ast.Nonlocal():
                return True
            case ast.Call():
                return self._call(node)
            case ast.Name(id=name):
                self._seen.asks |= isinstance(self._scope.outside(name), _TABLES)
                return False
            case _:
                return any(map(self.has, ast.iter_child_nodes(node)))

    def _changes(self, target: ast.expr) -> bool:
        """Whether a target is a part of something that the action has not made itself."""
        if isinstance(target, ast.Tuple | ast.List):
            return any(map(self._changes, target.elts))
        return isinstance(target, ast.Attribute | ast.Subscript) and not self._is_own(target)

    def _is_own(self, target: ast.expr) -> bool:
        root = target
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        return isinstance(root, ast.Name) and self._scope.literals(root.id)

    def _call(self, node: ast.Call) -> bool:
        name = _name(node.func)
        if isinstance(node.func, ast.Attribute) and name in FILLS:
            return not self._is_own(node.func) or any(map(self.has, _arguments(node)))
        found = self._scope.resolve(node.func)
        if self._is_harmless(node, name, known=bool(found)):
            # What is given to it is how the question is put, unless it is waited for itself.
            return any(self.has(each) for part in _arguments(node) for each in _awaited(part))
        if any(map(self.has, _arguments(node))) or self.has(node.func):
            return True
        return not found or any(map(self._does, found))

    def _is_harmless(self, node: ast.Call, name: str, *, known: bool) -> bool:
        """Whether a call asks, computes or logs, by what it is called."""
        root = _root(node.func)
        if isinstance(root, ast.Name) and root.id.lstrip("_").lower() in LOGGERS:
            return True
        if isinstance(node.func, ast.Attribute) and name in COMPUTES and not known:
            return True
        if name == "sleep":
            return True
        asks = _asks(name)
        if name == "execute" and node.args:
            query = _root(node.args[0])
            asks = isinstance(query, ast.Name) and query.id == "select"
        self._seen.asks |= asks
        return asks

    def _does(self, called: Any) -> bool:
        if isinstance(called, LocalFunction):
            inside = _Action(inner_scope(called), self._depth - 1, self._seen, self._known)
            return self._depth == 0 or inside.has_effects(called.node)
        module = _module(called)
        if isinstance(called, type):
            return False  # A value is made.
        if module == "builtins":
            return getattr(called, "__name__", "") in CHANGING_BUILTINS
        if module in COMPUTING_MODULES:
            self._seen.asks = True
            return False
        inner = inner_function(called)
        if module == "resaga":
            return getattr(inner, "__module__", "") != "resaga.response"
        if inner is None or not _is_users(inner):
            return True
        return _in_function(inner, self._depth - 1, self._seen, self._known)


def _asks(name: str) -> bool:
    """Whether what has this name asks or computes."""
    words = [word.lower() for word in WORDS.findall(name)]
    return bool(words) and words[0] in ASKING and DOING.isdisjoint(words[1:])


def _module(called: object) -> str:
    if isinstance(called, BuiltinFunctionType) and isinstance(called.__self__, ModuleType):
        return called.__self__.__name__.partition(".")[0]
    inner = inner_function(called)
    owner = inner if inner is not None else called if isinstance(called, type) else type(called)
    return str(owner.__module__).partition(".")[0]


def _is_users(fn: FunctionType) -> bool:
    """Whether a function is the user's own code, and not of a package that is installed."""
    file = fn.__code__.co_filename
    standard = fn.__module__.partition(".")[0] in sys.stdlib_module_names
    return not standard and "site-packages" not in file and "dist-packages" not in file


def _root(node: ast.expr) -> ast.expr:
    """What a chain of calls and attributes begins with."""
    while True:
        match node:
            case ast.Attribute(value=inner) | ast.Call(func=inner):
                node = inner
            case _:
                return node


def _name(func: ast.expr) -> str:
    match func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _arguments(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Call):
        return []
    return [*node.args, *(word.value for word in node.keywords)]


def _awaited(node: ast.AST) -> Iterator[ast.AST]:
    for each in ast.walk(node):
        if isinstance(each, ast.Await):
            yield each
