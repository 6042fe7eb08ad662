"""What mkdocstrings does with resaga's docstrings: an ``Example::`` in them is shown as Python."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension, Object

_LITERAL = re.compile(r"^( *)Example::\n\n((?:\1 +.*\n?|\n)+)", re.MULTILINE)
_DOCTEST = re.compile(r"^( *)Example:\n((?:\1 +.*\n?|\n)+)", re.MULTILINE)


def _fenced(match: re.Match[str]) -> str:
    code = textwrap.dedent(match[2]).strip("\n")
    return textwrap.indent(f"**Example**\n\n```python\n{code}\n```\n\n", match[1])


class Examples(Extension):
    """Turns the examples of docstrings into fenced blocks, and trees of classes into text."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            text = obj.docstring.value + "\n"
            text = _DOCTEST.sub(_fenced, _LITERAL.sub(_fenced, text))
            obj.docstring.value = text.rstrip("\n")
