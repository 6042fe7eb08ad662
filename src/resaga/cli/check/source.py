"""The source of functions, as trees with the lines of their files."""

from __future__ import annotations

import ast
import functools
import inspect
import io
import linecache
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType
from typing import TypeAlias, cast

from resaga.cli.check.findings import Place

__all__ = [
    "FunctionNode",
    "FunctionSource",
    "SourceFile",
    "file_at",
    "inner_function",
    "source_of",
]

WRAPPERS = 20
"""How many decorators and the like may stand around a function."""

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True, eq=False)
class SourceFile:
    """A file of Python.

    Attributes:
        path: Where it is.
        tree: What it says.
        comments: Its comments, by line.
        alone: The lines that hold a comment and nothing else.
        functions: The functions in it, at whatever depth, by name and first line.
    """

    path: Path
    tree: ast.Module
    comments: Mapping[int, str]
    alone: frozenset[int]
    functions: Mapping[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef]

    def place(self, node: ast.AST) -> Place:
        """Where a node begins."""
        return Place(file=self.path, line=cast("ast.expr", node).lineno)


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSource:
    """A function and its source.

    Attributes:
        fn: The function.
        file: The file that it is in.
        node: The function in it.
        bound: Its first arguments, where they are given already: those of a method, of a partial.
    """

    fn: FunctionType
    file: SourceFile
    node: ast.FunctionDef | ast.AsyncFunctionDef
    bound: tuple[object, ...] = ()

    @property
    def place(self) -> Place:
        """The line of its ``def``."""
        return self.file.place(self.node)

    @property
    def parameters(self) -> list[str]:
        """Its positional parameters, without those that are bound."""
        return self._positional[len(self.bound) :]

    @property
    def given(self) -> dict[str, list[object]]:
        """What those are that are bound."""
        return {name: [value] for name, value in zip(self._positional, self.bound, strict=False)}

    @property
    def _positional(self) -> list[str]:
        return [each.arg for each in (*self.node.args.posonlyargs, *self.node.args.args)]


def inner_function(fn: object) -> FunctionType | None:
    """The function behind decorators, methods and partials; ``None`` if it is not Python's."""
    return _unwound(fn)[0]


def source_of(fn: object) -> FunctionSource | None:
    """The source of a function; ``None`` where there is none, of a lambda, say."""
    inner, bound = _unwound(fn)
    if inner is None:
        return None
    code = inner.__code__
    file = file_at(Path(code.co_filename))
    if file is None:
        return None
    node = file.functions.get((code.co_name, code.co_firstlineno))
    return None if node is None else FunctionSource(inner, file, node, bound)


def _unwound(fn: object) -> tuple[FunctionType | None, tuple[object, ...]]:
    """The function that is run in the end, and its first arguments that are known."""
    bound: tuple[object, ...] = ()
    for _ in range(WRAPPERS):
        if isinstance(fn, functools.partial):
            partial = cast("functools.partial[object]", fn)
            bound, fn = (*partial.args, *bound), partial.func
        elif isinstance(fn, MethodType):
            bound, fn = (fn.__self__, *bound), fn.__func__
        elif isinstance(fn, type):
            return None, ()
        elif (wrapped := inspect.getattr_static(fn, "__wrapped__", None)) is not None:
            fn = wrapped
        elif isinstance(fn, FunctionType):
            return fn, bound
        else:
            # An object that can be called.
            called: object = inspect.getattr_static(type(fn), "__call__", None)
            if not isinstance(called, FunctionType):
                return None, ()
            bound, fn = (fn, *bound), called
    return None, ()


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


@functools.lru_cache(maxsize=512)
def file_at(path: Path) -> SourceFile | None:
    """A file of Python; ``None`` if there is none that can be read."""
    lines = linecache.getlines(str(path))
    if not lines:
        return None
    text = "".join(lines)
    try:
        tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return None
    comments = {each.start[0]: each.string for each in tokens if each.type == tokenize.COMMENT}
    alone = frozenset(line for line in comments if lines[line - 1].lstrip().startswith("#"))
    functions = {
        (node.name, _first_line(node)): node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return SourceFile(path, tree, comments, alone, functions)
