"""What was found: on a terminal, in a pipe, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.text import Text

from resaga.cli.check.examine import Examined
from resaga.cli.check.findings import CODES, Finding, Place, Unseen, shown_path
from resaga.cli.check.ignores import can_be_silenced
from resaga.cli.check.server import ServerSettings

__all__ = ["as_json", "print_examined"]

HINT: Final = "silence one where it is defined: # resaga: ignore[CODE] why"

WIDEST: Final = 100
"""Columns beyond which text is not easier to read."""


def print_examined(console: Console, examined: Examined, server: ServerSettings | None) -> None:
    """Print what was found, what could not be seen, and a last line that sums it up.

    In a pipe one finding is one line, for ``grep``; on a terminal its parts stand below each
    other, as wide as that is.

    Args:
        console: Where to print.
        examined: What was found.
        server: What a server said, if one was asked.
    """
    notes: Sequence[str] = () if server is None else server.notes
    if console.is_terminal:
        width = min(console.width, WIDEST)
        for finding in examined.findings:
            for text in _block(console, finding, width):
                _print(console, text)
        for line in (*map(_unseen, examined.unseen), *notes):
            for text in _wrapped(console, Text(line, "dim"), width, indent=0):
                _print(console, text)
        if examined.findings or examined.unseen or notes:
            _print(console, Text())
        if any(can_be_silenced(finding) for finding in examined.findings):
            _print(
                console, Text("silence one where it is defined: # resaga: ignore[CODE] why", "dim")
            )
    else:
        lines = [*map(_line, examined.findings), *map(_unseen, examined.unseen), *notes]
        console.file.writelines(f"{line}\n" for line in lines)
    _print(console, _sum(examined))


def as_json(target: str, examined: Examined, server: ServerSettings | None) -> str:
    """What was found, as one object. Its fields are part of what the version promises."""
    told: dict[str, Any] = {
        "target": target,
        "definitions": [each.name for each in examined.definitions],
        "sagas": [saga.name for saga in examined.sagas],
        "steps": list(examined.steps),
        "findings": [_object(each) for each in examined.findings],
        "silenced": [_object(each) for each in examined.silenced],
        "unseen": [
            {"definition": each.definition, **_place(each.place), "what": each.what}
            for each in examined.unseen
        ],
        "server": None,
    }
    if server is not None:
        told["server"] = {
            "address": server.address,
            "version": server.version,
            "notes": list(server.notes),
        }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _object(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "title": CODES[finding.code],
        "definition": finding.definition,
        **_place(finding.place),
        "what": finding.what,
        "why": finding.why,
        "mend": finding.mend,
    }


def _place(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {"file": None, "line": None}
    return {"file": shown_path(place.file), "line": place.line}


def _line(finding: Finding) -> str:
    return (
        f"{_where(finding.place)}{finding.code} {finding.definition}: {finding.what}; "
        f"{finding.why}. Mend: {finding.mend}."
    )


def _unseen(unseen: Unseen) -> str:
    return f"{_where(unseen.place)}not seen in {unseen.definition}: {unseen.what}"


def _where(place: Place | None) -> str:
    return "" if place is None else f"{place}: "


def _block(console: Console, finding: Finding, width: int) -> Iterator[Text]:
    head = Text()
    head.append(_where(finding.place), "bold")
    head.append(f"{finding.code} ", "bold red")
    head.append(finding.definition, "bold")
    yield from _wrapped(console, head, width, indent=0)
    yield from _wrapped(console, Text(f"{finding.what}."), width)
    yield from _wrapped(console, Text(f"{_upper(finding.why)}.", "dim"), width)
    mend = Text("Mend: ", "green")
    mend.append(f"{finding.mend}.", "default")
    yield from _wrapped(console, mend, width)


def _wrapped(console: Console, text: Text, width: int, *, indent: int = 4) -> Iterator[Text]:
    for line in text.wrap(console, max(width - indent, 20)):
        line.rstrip()
        yield Text(" " * indent) + line


def _sum(examined: Examined) -> Text:
    looked = (
        f"{_count(len(examined.sagas), 'saga')} and {_count(len(examined.steps), 'step')} looked at"
    )
    silenced = f", {len(examined.silenced)} silenced" if examined.silenced else ""
    found = len(examined.findings)
    if not found:
        return Text(f"no findings{silenced}; {looked}", "green")
    return Text(f"{_count(found, 'finding')}{silenced}; {looked}", "bold red")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
