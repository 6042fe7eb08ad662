"""Findings of what resaga refuses by itself, with an error that says what, why and the mend."""

from __future__ import annotations

from resaga.cli.check.findings import Finding, Place
from resaga.errors import MisuseError, UnsupportedTypeError
from resaga.signature import UnresolvedName

__all__ = ["refusal"]

WHY = {
    "RS401": "resaga refuses it, so that no value comes back as another one (R16)",
    "RS402": "values can be read as their type only if it is known when the program runs",
    "RS404": "resaga refuses what cannot work (R21)",
}


def refusal(error: MisuseError, *, definition: str, place: Place | None) -> Finding:
    """The finding that an error of resaga's stands for."""
    code = "RS404"
    if isinstance(error, UnresolvedName):
        code = "RS402"
    elif isinstance(error, UnsupportedTypeError):
        code = "RS401"
    what, _, mend = " ".join(str(error).split()).partition(". ")
    return Finding(
        code=code,
        definition=definition,
        place=place,
        what=what.removesuffix("."),
        why=WHY[code],
        mend=(mend[:1].lower() + mend[1:]).removesuffix(".") or "see the message",
    )
