"""One saga as one self-contained HTML page: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from importlib.resources import files

import msgspec

from resaga.cli.inspect.advice import advice_of, if_cancelled, stack_of
from resaga.cli.inspect.blocks import Block, Inside, arrange
from resaga.cli.inspect.model import Entry, SagaView
from resaga.cli.inspect.words import UNICODE, clock, error_line, note_of, span

__all__ = ["html_page"]


def html_page(saga: SagaView) -> str:
    """The page: head, timeline with branches side by side, what is left, what can be done."""
    style = files("resaga.cli.inspect").joinpath("page.css").read_text(encoding="utf-8")
    summary = saga.summary
    title = escape(f"{summary.workflow} {summary.id}: {summary.state}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{style}</style></head><body><main>",
            *_Section(saga).lines(top=True),
            f"<footer>resaga show, read {escape(clock(saga.now, now=saga.now))}</footer>",
            "</main></body></html>",
            "",
        ]
    )


class _Section:
    """One saga on the page; those that it called stand in it."""

    def __init__(self, saga: SagaView) -> None:
        self._saga = saga
        self._begin = saga.summary.created
        self._whole = max((saga.summary.ended or saga.now) - self._begin, timedelta(milliseconds=1))

    def lines(self, *, top: bool) -> Iterator[str]:
        saga = self._saga
        yield from self._head(top=top)
        yield from _payloads(saga.payloads)
        if top:
            yield from self._left()
        if not saga.has_journal:
            yield "<p>The server no longer has its journal.</p>"
        yield '<div class="line">'
        yield from self._blocks(arrange(saga.entries))
        yield "</div>"
        if top:
            yield from self._advice()

    def _head(self, *, top: bool) -> Iterator[str]:
        saga, summary = self._saga, self._saga.summary
        level = "h1" if top else "h2"
        kind = summary.state.replace(" ", "-")
        yield "<header>"
        yield (
            f"<{level}>{escape(summary.workflow)} "
            f'<span class="state {kind}">{escape(summary.state)}</span></{level}>'
        )
        yield f"<code>{escape(summary.id)}</code>"
        facts = [f"begun {clock(summary.created, now=saga.now)}"]
        if summary.ended is not None:
            facts.append(f"ended after {span(self._whole)}")
        else:
            facts.append(f"{span(self._whole)} ago; to Restate it is {saga.status}")
        if saga.cancelled_at is not None:
            facts.append(f"cancelled {clock(saga.cancelled_at, now=saga.now)}")
        if saga.deadline is not None:
            facts.append(f"deadline {clock(saga.deadline, now=saga.now)}")
        if saga.parent_id is not None and top:
            facts.append(f"called by {saga.parent_id}")
        if saga.restarted_from is not None:
            facts.append(f"restarted as new from {saga.restarted_from}")
        if not saga.is_saga:
            facts.append("its handler is no saga of resaga's, as far as the server knows")
        yield f"<p>{escape(', '.join(facts))}</p></header>"

    def _left(self) -> Iterator[str]:
        saga = self._saga
        error = saga.last_error
        if error is not None:
            label = "Failed with" if saga.failure is not None else "Last error"
            yield f'<p class="error"><b>{label}</b> {escape(error_line(error))}</p>'
        lost = stack_of(saga) if saga.killed else [undo.name for undo in saga.not_undone]
        if lost:
            why = "Killed, so not undone" if saga.killed else "Not undone, see to it by hand"
            yield f'<p class="error lost"><b>{why}</b> {escape(", ".join(lost))}</p>'
        if saga.summary.ended is None:
            stack = stack_of(saga)
            yield '<section class="stack"><b>On the stack, newest first</b><ol>'
            yield from (f"<li>{escape(name)}</li>" for name in stack)
            yield "</ol>" if stack else "</ol><p>Nothing.</p>"
            yield f"<p><b>If cancelled now:</b> {escape(if_cancelled(saga))}</p></section>"

    def _blocks(self, blocks: Sequence[Block]) -> Iterator[str]:
        for block in blocks:
            if isinstance(block, Entry):
                yield from self._entry(block)
                continue
            if isinstance(block, Inside):
                yield f'<section class="inside line"><h3>{escape(block.nest.name)}</h3>'
                yield from self._blocks(block.blocks)
                yield "</section>"
                continue
            yield '<div class="gather">'
            for number, branch in block.branches:
                yield f'<div class="line"><div class="branch">branch {number}</div>'
                yield from self._blocks(branch)
                yield "</div>"
            yield "</div>"

    def _entry(self, entry: Entry) -> Iterator[str]:
        saga = self._saga
        kind = entry.outcome.replace(" ", "-")
        undo = entry.kind == "undo"
        by = entry.undone_by
        undone = " undone" if by is not None and by.outcome == "completed" else ""
        mark = UNICODE.outcomes[entry.outcome]
        if undo and entry.outcome == "completed":
            mark = UNICODE.undo
        elif entry.kind == "added":
            mark = UNICODE.added
        began = "" if entry.started is None else f"+{span(entry.started - self._begin)}"
        took = "" if entry.duration is None else span(entry.duration)
        word = "" if entry.kind in ("step", "added", "other") else f"<i>{entry.kind}</i> "
        note = note_of(entry, saga)
        yield f'<article class="entry {entry.kind} {kind}{undone}">'
        yield f'<div class="row"><span class="mark" title="{entry.outcome}">{mark}</span>'
        yield f'<span class="name">{word}{escape(entry.name)}</span>'
        yield f'<span class="time">{began}</span><span class="time">{took}</span></div>'
        if entry.started is not None:
            bar = self._bar(entry.started, entry.ended)
            yield f'<div class="bar"><span style="{bar}"></span></div>'
        if note:
            yield f'<div class="note">{escape(note)}</div>'
        for error in entry.errors:
            text = escape(error_line(error))
            yield f'<div class="note retried">an attempt failed: {text}</div>'
        yield from _payloads(entry.payloads)
        if entry.child is not None:
            yield '<section class="child">'
            yield from _Section(entry.child).lines(top=False)
            yield "</section>"
        yield "</article>"

    def _bar(self, started: datetime | None, ended: datetime | None) -> str:
        """Where in the saga's whole time something was, as CSS."""
        first = (started or self._begin) - self._begin
        last = (ended or self._saga.summary.ended or self._saga.now) - self._begin
        left = 100 * min(max(first / self._whole, 0.0), 1.0)
        width = max(100 * min(last / self._whole, 1.0) - left, 0.0)
        return f"left:{left:.2f}%;width:{width:.2f}%"

    def _advice(self) -> Iterator[str]:
        yield '<section class="advice"><b>What you can do</b><dl>'
        for advice in advice_of(self._saga):
            kind = ' class="harmful"' if advice.harmful else ""
            yield f"<dt{kind}><code>{escape(advice.command)}</code></dt>"
            yield f"<dd{kind}>{escape(advice.effect)}</dd>"
        yield "</dl></section>"


def _payloads(payloads: dict[str, object]) -> Iterator[str]:
    for name, value in payloads.items():
        shown = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        yield f"<details><summary>{escape(name)}</summary><pre>{escape(shown)}</pre></details>"
