"""Runs a Restate server, and workers for it, as child processes that die with their parent.

Needs the extra ``resaga[server]``. For tests, demos and development; a server that holds data
you care about should not be a child process of your program.
"""

from resaga.server.binary import (
    RESTATE_SERVER_VERSION,
    Progress,
    find_restate_server,
    print_progress,
)
from resaga.server.errors import AdminError, RestateServerNotFound, StartFailed
from resaga.server.restate import RestateServer
from resaga.server.worker import Worker

__all__ = [
    "AdminError",
    "Progress",
    "RESTATE_SERVER_VERSION",
    "RestateServer",
    "RestateServerNotFound",
    "StartFailed",
    "Worker",
    "find_restate_server",
    "print_progress",
]
