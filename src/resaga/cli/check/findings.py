"""What a rule has found, where, why it is wrong, and what mends it; the codes that there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CODES", "Finding", "Place", "Unseen", "shown_path"]

CODES: Final[dict[str, str]] = {
    "RS101": "a step with effects has no compensation, and more comes after it",
    "RS102": "a compensation takes its data for granted",
    "RS103": "two steps of one name in one saga",
    "RS104": "a compensation that undoes nothing where the outcome is unknown",
    "RS201": "a saga needs services, and nobody gives them",
    "RS202": "a saga gets other services than it needs",
    "RS203": "a step needs a parameter that nobody injects",
    "RS301": "a step is retried for ever in a saga with a deadline",
    "RS302": "a compensation is retried for ever in a saga with a deadline",
    "RS401": "a type that JSON cannot carry",
    "RS402": "an annotation that names an unknown type",
    "RS403": "two definitions of one name",
    "RS404": "a definition that resaga refuses",
    "RS501": "a saga is killed when its attempts run out",
    "RS502": "actions that take long are cut off",
    "RS503": "results are forgotten that a saga still asks for",
    "RS504": "no journal is kept of a saga that has ended",
    "RS505": "the server knows another kind of definition by this name",
    "RS506": "a saga whose attempts fail is never paused",
}
"""The codes, each with what it stands for. A code keeps its meaning in every later version."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A line in a file; lines count from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{shown_path(self.file)}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong, or may well be.

    Attributes:
        code: Its code, a key of `CODES`.
        definition: The step, saga or handler: ``step ReserveStock``.
        place: Where that is defined; ``None`` where there is no source.
        what: What is the matter, in one clause.
        why: What comes of it.
        mend: What to do about it.
        also: Further lines at which a comment silences it.
    """

    code: str
    definition: str
    place: Place | None
    what: str
    why: str
    mend: str
    also: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Something that cannot be seen without running it, so that nothing is said about it."""

    definition: str
    place: Place | None
    what: str


def shown_path(file: Path) -> str:
    """A path as people write it: relative to the current folder where it is below."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
