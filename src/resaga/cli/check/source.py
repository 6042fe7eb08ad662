"""The source of functions, as trees with the lines of their files."""

from __future__ import annotations

import ast
import functools
import inspect
import io
import linecache
import tokenize
from collections.abc import Callable, Iterator, Mapping
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

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True, eq=False)
class SourceFile:
    """A file of Python.

    Attributes:
        path: Where it is.
        tree: What it says.
        comments: Its comments, by line.
        alone: The lines that hold a comment and nothing else.
    """

    path: Path
    tree: ast.Module
    comments: Mapping[int, str]
    alone: frozenset[int]

    def place(self, node: ast.AST) -> Place:
        """Where a node begins."""
        return Place(file=self.path, line=cast("ast.expr", node).lineno)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions that it defines, at whatever depth."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSource:
    """A function and its source."""

    fn: FunctionType
    file: SourceFile
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def place(self) -> Place:
        """The line of its ``def``."""
        return self.file.place(self.node)

    @property
    def parameters(self) -> list[str]:
        """Its positional parameters."""
        return [each.arg for each in (*self.node.args.posonlyargs, *self.node.args.args)]


def inner_function(fn: object) -> FunctionType | None:
    """The function behind decorators, methods and partials; ``None`` if it is not Python's."""
    seen = 0
    while seen < 20:
        seen += 1
        if isinstance(fn, functools.partial):
            fn = cast("functools.partial[object]", fn).func
        elif isinstance(fn, MethodType):
            fn = fn.__func__
        elif hasattr(fn, "__wrapped__"):
            fn = inspect.unwrap(cast("Callable[..., object]", fn))
        elif isinstance(fn, FunctionType):
            return fn
        elif isinstance(fn, type) or not callable(fn):
            return None
        else:
            fn = getattr(type(fn), "__call__", None)  # noqa: B004  # the function, not whether
    return None


def source_of(fn: object) -> FunctionSource | None:
    """The source of a function; ``None`` where there is none, of a lambda, say."""
    inner = inner_function(fn)
    if inner is None:
        return None
    file = file_at(Path(inner.__code__.co_filename))
    if file is None:
        return None
    code = inner.__code__
    for node in file.functions():
        if node.name == code.co_name and _first_line(node) == code.co_firstlineno:
            return FunctionSource(inner, file, node)
    return None


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
    return SourceFile(path, tree, comments, alone)
