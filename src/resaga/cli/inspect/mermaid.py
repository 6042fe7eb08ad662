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
        forward, back = _parted(saga)
        tips = yield from self._chain(arrange(forward), [prefix])
        for entry in back:
            yield from self._entry(entry)
        yield from self._edges
        for step in saga.entries:
            if step.undone_by is not None:
                # This way round, so that all goes down and nothing in a circle.
                yield f"  {self._node(step)} -. undone by .-> {self._node(step.undone_by)}"
        way = [self._node(entry) for entry in back]
        if back and back[0].index > max(entry.index for entry in forward):
            yield from (f"  {tip} ==> {way[0]}" for tip in tips)
        yield from (f"  {a} ==> {b}" for a, b in pairwise(way))

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
            yield from self._entry(block)
            node = self._node(block)
            self._edges += [f"  {tip} --> {node}" for tip in tips]
            tips = [node]
        return tips

    def _entry(self, entry: Entry) -> Iterator[str]:
        """The node of an entry, and the chart of what it called."""
        node, kind = self._node(entry), self._class(entry)
        if entry.kind == "undo":
            yield f'  {node}[/"undo {_label(entry)}"/]:::{kind}'
        else:
            yield f'  {node}["{_label(entry)}"]:::{kind}'
        if entry.child is not None:
            child = f"{node}c"
            yield f'  subgraph {child}g["{_text(entry.child.summary.workflow)}"]'
            yield from _Chart(child).lines(entry.child)
            yield "  end"
            self._edges.append(f"  {node} -.-> {child}")

    def _node(self, entry: Entry) -> str:
        # An added compensation has no entry of its own, and stands before one.
        place = f"a{(entry.path or '').replace('.', '_')}" if entry.kind == "added" else entry.index
        return f"{self._prefix}_{place}"

    def _class(self, entry: Entry) -> str:
        if entry.undone_by is not None and entry.undone_by.outcome == "completed":
            return "undone"
        return _CLASSES[entry.outcome]


def _parted(saga: SagaView) -> tuple[list[Entry], list[Entry]]:
    """What was done, and how it was undone, with what durable compensations did meanwhile.

    Where steps follow after undos, a savepoint was rolled back: then the undos alone.
    """
    kinds = [entry.kind for entry in saga.entries]
    first = kinds.index("undo") if "undo" in kinds else len(kinds)
    if "step" in kinds[first:]:
        return [entry for entry in saga.entries if entry.kind != "undo"], saga.undos
    return saga.entries[:first], saga.entries[first:]


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
