"""One saga as a Mermaid sequence of steps and undos, for documents and issues."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise

from resaga.cli.inspect.blocks import Block, Gather, Inside, arrange
from resaga.cli.inspect.model import Entry, SagaView

__all__ = ["mermaid"]

_CLASSES = {
    "completed": "done",
    "failed": "failed",
    "unknown": "unknown",
    "in flight": "active",
    "waiting": "active",
    "begun": "active",
    "dropped": "unknown",
}

_SAFE = {'"': "#quot;", "#": "#35;", "<": "#lt;", ">": "#gt;", "\n": " ", ";": "#59;"}


def mermaid(saga: SagaView) -> str:
    """A flowchart: steps from top to bottom, branches side by side, undos back along them."""
    lines = ["flowchart TD", *_Chart("s").lines(saga)]
    lines += [
        "  classDef done fill:#d7f2dd,stroke:#2b8a3e,color:#12351b",
        "  classDef failed fill:#ffd8d8,stroke:#c92a2a,color:#4a1010",
        "  classDef unknown fill:#fff0c2,stroke:#b7791f,color:#453008",
        "  classDef active fill:#d6ecff,stroke:#1c6dbb,color:#0b2f52",
        "  classDef undone fill:#f1e4ff,stroke:#7b3fb3,color:#2f1350",
    ]
    return "\n".join(lines)


class _Chart:
    """The nodes of one saga; their ids begin with a prefix of its own."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        # After all nodes: an edge inside a subgraph would draw both its ends into it.
        self._edges: list[str] = []

    def lines(self, saga: SagaView) -> Iterator[str]:
        prefix = self._prefix
        title = f"{saga.summary.workflow}: {saga.summary.state}"
        yield f'  {prefix}(["{_text(title)}<br/>{saga.summary.id}"])'
        forward = [entry for entry in saga.entries if entry.kind != "undo"]
        yield from self._chain(arrange(forward), [prefix])
        yield from self._edges
        for undo in saga.undos:
            node = self._node(undo)
            yield f'  {node}[/"undo {_label(undo)}"/]:::{self._class(undo)}'
            step = next((s for s in saga.entries if s.undone_by is undo), None)
            if step is not None:
                yield f"  {node} -. undoes .-> {self._node(step)}"
        undos = [self._node(undo) for undo in saga.undos]
        yield from (f"  {a} ==> {b}" for a, b in pairwise(undos))

    def _chain(self, blocks: Sequence[Block], tips: list[str]) -> Generator[str, None, list[str]]:
        """Nodes one after the other, branches beside each other; gives what comes last."""
        for block in blocks:
            if isinstance(block, Gather):
                ends: list[str] = []
                for _, branch in block.branches:
                    ends += yield from self._chain(branch, tips)
                tips = ends
                continue
            if isinstance(block, Inside):
                nest = block.nest
                name = f"{self._prefix}_in_{nest.path.replace('.', '_')}_{_words(nest.name)}"
                yield f'  subgraph {name}["{_text(nest.name)}"]'
                tips = yield from self._chain(block.blocks, tips)
                yield "  end"
                continue
            node = self._node(block)
            yield f'  {node}["{_label(block)}"]:::{self._class(block)}'
            self._edges += [f"  {tip} --> {node}" for tip in tips]
            tips = [node]
            if block.child is not None:
                child = f"{node}c"
                yield f'  subgraph {child}g["{_text(block.child.summary.workflow)}"]'
                yield from _Chart(child).lines(block.child)
                yield "  end"
                self._edges.append(f"  {node} -.-> {child}")
        return tips

    def _node(self, entry: Entry) -> str:
        # An added compensation has no entry of its own, and stands before one.
        place = f"a{(entry.path or '').replace('.', '_')}" if entry.kind == "added" else entry.index
        return f"{self._prefix}_{place}"

    def _class(self, entry: Entry) -> str:
        if entry.undone_by is not None and entry.undone_by.outcome == "completed":
            return "undone"
        return _CLASSES[entry.outcome]


def _label(entry: Entry) -> str:
    word = "" if entry.kind in ("step", "undo", "added", "other") else f"{entry.kind} "
    text = f"{word}{entry.name}"
    if entry.outcome != "completed":
        text += f": {entry.outcome}"
    return _text(text)


def _words(name: str) -> str:
    """A name as a part of an id."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name)


def _text(value: str) -> str:
    return "".join(_SAFE.get(char, char) for char in value)
