"""Writes every message of resaga's errors into docs/guide/errors.md, from where they are raised.

``python scripts/error_texts.py`` rewrites what stands between the page's markers; a test says when
that is needed. What is computed when an error is raised is shown as ``…``.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import resaga

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guide" / "errors.md"
SOURCE = ROOT / "src" / "resaga"
ELSEWHERE = ("cli", "ext", "server", "testing")
"""Parts around the core, whose errors their own chapters tell."""

CLASSES = [
    name
    for name in resaga.__all__
    if isinstance(getattr(resaga, name), type) and issubclass(getattr(resaga, name), Exception)
]
MARKED = re.compile(r"(<!-- messages of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _text(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may give, with ``…`` for what is computed."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts
            )
        case ast.IfExp(body=body, orelse=orelse):
            yield from _text(body)
            yield from _text(orelse)
        case _:
            pass


@functools.cache
def messages() -> Mapping[str, Sequence[str]]:
    """All messages, by the name of the class, as they stand in the source."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        if path.relative_to(SOURCE).parts[0] in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[first, *_]):
                    if name in CLASSES:
                        found[name].update(_text(first))
                case _:
                    pass
    # A text that is all computed tells nobody anything.
    told = {
        name: sorted(text for text in texts if re.search(r"\w{3}", text))
        for name, texts in found.items()
    }
    return {name: texts for name, texts in told.items() if texts}


def section(name: str) -> str:
    """The list of one class's messages, as it stands in the page."""
    lines: list[str] = []
    for text in messages().get(name, []):
        fence = "``" if "`" in text else "`"
        lines.append(f"- {fence}{text}{fence}\n")
    return "".join(lines)


def rewritten(page: str) -> str:
    """The page, with its lists as they should be."""
    return MARKED.sub(lambda match: f"{match[1]}\n{section(match[2])}\n{match[3]}", page)


def main() -> int:
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
