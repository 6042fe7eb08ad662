"""Silencing a finding by a comment where something is defined: ``# resaga: ignore[RS101] why``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from resaga.cli.check.findings import Finding, Place
from resaga.cli.check.source import SourceFile, file_at

__all__ = ["can_be_silenced", "is_silenced"]

COMMENT: Final = re.compile(r"#\s*resaga:\s*ignore\[(?P<codes>[^\]]*)\]")

REFUSED: Final = "RS4"
"""How the codes of what does not run anyway begin."""


def can_be_silenced(finding: Finding) -> bool:
    """Whether a comment could silence it: not what resaga refuses, which does not run anyway."""
    return not finding.code.startswith(REFUSED)


def is_silenced(finding: Finding) -> bool:
    """Whether a comment says that a finding is known and meant so.

    It counts in the head of the function that the finding is at, from its first decorator to the
    end of its signature; at the end of any other line that the finding names; and in comments
    that stand by themselves right above either. What resaga refuses cannot be silenced.
    """
    if not can_be_silenced(finding):
        return False
    places = [] if finding.place is None else [finding.place]
    return any(finding.code in _codes(place) for place in (*places, *finding.also))


def _codes(place: Place) -> set[str]:
    file = file_at(place.file)
    if file is None:
        return set()
    return {code for line in _lines(file, place.line) for code in _said(file, line)}


def _lines(file: SourceFile, line: int) -> Iterator[int]:
    head = next((each for each in _heads(file) if line in each), range(line, line + 1))
    yield from head
    above = head.start - 1
    while above in file.alone:
        yield above
        above -= 1


def _heads(file: SourceFile) -> Iterable[range]:
    """The statements of a file, each with the lines of its head."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            yield range(first, max(node.body[0].lineno, node.lineno + 1))
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return):
            yield range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _said(file: SourceFile, line: int) -> set[str]:
    found = COMMENT.search(file.comments.get(line, ""))
    return set() if found is None else {code.strip() for code in found["codes"].split(",")}
