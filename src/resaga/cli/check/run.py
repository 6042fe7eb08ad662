"""The command: load, ask the server, look."""

from __future__ import annotations

from collections.abc import Sequence

from resaga.cli.check.examine import Examined, examine
from resaga.cli.check.load import load

__all__ = ["run"]


def run(
    target: str, *, admin: str | None, token: str | None
) -> tuple[Examined, str | None, Sequence[str]]:
    """Look at what ``module:name`` serves.

    Returns:
        What was found; the version of the server that was asked, if one was; notes about it.

    Raises:
        BadInput: It does not import, or the server does not answer.
    """
    loaded = load(target)
    return examine(loaded.definitions, loaded.findings), None, ()
