"""The command: load, ask the server, look."""

from __future__ import annotations

from resaga.cli.check.examine import Examined, examine
from resaga.cli.check.load import load
from resaga.cli.check.sagas import sagas_of
from resaga.cli.check.server import ServerSettings, read_settings
from resaga.cli.inspect.admin import Admin

__all__ = ["run"]


def run(
    target: str, *, admin: str | None, token: str | None
) -> tuple[Examined, ServerSettings | None]:
    """Look at what ``module:name`` serves.

    Args:
        target: The app.
        admin: The address of an admin API to ask, too.
        token: A bearer token for it.

    Returns:
        What was found, and what the server said, if one was asked.

    Raises:
        BadInput: It does not import, or the server does not answer.
    """
    loaded = load(target)
    server: ServerSettings | None = None
    if admin is not None:
        with Admin(admin, token=token) as client:
            server = read_settings(client, list(sagas_of(loaded.definitions)))
    examined = examine(
        loaded.definitions, loaded.findings, at_server={} if server is None else server.of
    )
    return examined, server
