"""Reading sagas from a server: the list of them, and one with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from resaga.cli.inspect import queries
from resaga.cli.inspect.admin import Admin
from resaga.cli.inspect.build import summarize, view
from resaga.cli.inspect.model import SagaView, Summary
from resaga.cli.inspect.queries import InvocationRow, SagaHandlers
from resaga.cli.inspect.states import KILLED
from resaga.cli.trouble import BadInput

__all__ = ["read_list", "read_saga"]


def read_list(
    admin: Admin,
    *,
    workflows: Sequence[str] = (),
    newer_than: timedelta | None = None,
    older_than: timedelta | None = None,
) -> list[Summary]:
    """The sagas on a server, newest first; no payload is asked for.

    Args:
        admin: The server.
        workflows: Only sagas of these definitions; of all if there are none.
        newer_than: Only those created within this time.
        older_than: Only those created before this time.

    Raises:
        BadInput: There is no answer, or there is no such workflow.
    """
    handlers = queries.saga_handlers(admin)
    known = handlers.services
    unknown = [name for name in workflows if name not in known]
    if unknown:
        raise BadInput(
            f"there is no workflow {unknown[0]} of resaga at {admin.address}. "
            f"There {'are' if known else 'is'}: {', '.join(known) or 'none'}."
        )
    services = list(workflows) or known
    rows = [
        row
        for row in queries.invocations(
            admin,
            services,
            newer_than=newer_than,
            older_than=older_than,
            now=datetime.now(UTC),
        )
        if row in handlers
    ]
    progress = (
        queries.progress(admin, services) if any(row.status != "completed" for row in rows) else {}
    )
    perhaps = [row.id for row in rows if row.completion_failure == KILLED]
    killed = queries.killed_among(admin, perhaps) if perhaps else set[str]()
    paused = [row.id for row in rows if row.status == "paused"]
    pauses = queries.pauses(admin, paused)
    return [
        summarize(row, progress.get(row.id), killed=row.id in killed, pause=pauses.get(row.id))
        for row in rows
    ]


def read_saga(admin: Admin, id: str, *, payloads: bool = False, depth: int = 3) -> SagaView:
    """One saga, with what it called.

    Args:
        admin: The server.
        id: Its invocation id.
        payloads: Whether to ask for what it took and gave.
        depth: How many levels of what it called to look into.

    Raises:
        BadInput: There is no answer, or no such invocation.
    """
    handlers = queries.saga_handlers(admin)
    row = queries.invocation(admin, id)
    return _read(admin, row, handlers, payloads=payloads, depth=depth)


def _read(
    admin: Admin, row: InvocationRow, handlers: SagaHandlers, *, payloads: bool, depth: int
) -> SagaView:
    saga = view(
        row,
        queries.entries_of(admin, row.id, payloads=payloads),
        queries.events_of(admin, row.id),
        is_saga=row in handlers,
        payloads=payloads,
        now=datetime.now(UTC),
    )
    if depth > 0:
        begun = [e for e in saga.entries if e.child_id is not None and e.kind in ("call", "send")]
        children = queries.invocations_by_id(admin, [e.child_id for e in begun if e.child_id])
        for entry in begun:
            child = children.get(entry.child_id or "")
            if child is not None and child in handlers:
                entry.child = _read(admin, child, handlers, payloads=payloads, depth=depth - 1)
    return saga
