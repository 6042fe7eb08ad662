"""What is asked of the server's tables: the only module that knows their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from resaga.cli.inspect.admin import Admin, QueryRefused
from resaga.cli.trouble import BadInput
from resaga.definitions.handlers import SAGA_MARK

__all__ = [
    "EntryRow",
    "EventRow",
    "InvocationRow",
    "ProgressRow",
    "SagaHandlers",
    "entries_of",
    "events_of",
    "invocation",
    "invocations",
    "invocations_by_id",
    "killed_among",
    "pauses",
    "progress",
    "saga_handlers",
]

CHUNK: Final = 500
"""How many ids one query names at most."""

NO_ID: Final = "non valid invocation id"
"""What a server says to an id that it cannot read."""

INVOCATION_ID: Final = re.compile(r"inv_[0-9A-Za-z]+")


class InvocationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``sys_invocation``."""

    id: str
    target: str
    target_service_name: str
    target_handler_name: str
    status: str
    created_at: datetime
    modified_at: datetime
    completed_at: datetime | None = None
    completion_result: str | None = None
    completion_failure: str | None = None
    retry_count: int | None = None
    next_retry_at: datetime | None = None
    last_failure: str | None = None
    last_failure_related_command_index: int | None = None
    journal_size: int | None = None
    invoked_by_id: str | None = None
    restarted_from: str | None = None
    pinned_deployment_id: str | None = None


_COLUMNS: Final = ", ".join(InvocationRow.__struct_fields__)


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``sys_journal``.

    Attributes:
        lite: The entry without its payloads, as JSON.
        json: The whole entry, as JSON; only of what was asked for.
    """

    index: int
    entry_type: str
    appended_at: datetime | None = None
    name: str | None = None
    lite: str | None = None
    json: str | None = None


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``sys_journal_events``."""

    after_journal_entry_index: int
    appended_at: datetime
    event_type: str
    event_json: str


class ProgressRow(msgspec.Struct, frozen=True, kw_only=True):
    """How far an unfinished invocation is, counted by the server: no payload leaves it.

    Attributes:
        begun: How many actions it has begun.
        ended: How many of them have a result.
        last_step: Index of the last action that is no compensation; -1 if there is none.
        last_undo: Index of the last compensation; -1 if there is none.
        entries: How many entries its journal has.
    """

    id: str
    begun: int
    ended: int
    last_step: int
    last_undo: int
    entries: int


class _Handler(msgspec.Struct):
    name: str
    metadata: dict[str, str] = {}


class _Service(msgspec.Struct):
    name: str
    handlers: list[_Handler] = []
    metadata: dict[str, str] = {}


class _Services(msgspec.Struct):
    services: list[_Service]


class _Id(msgspec.Struct):
    id: str


class _Pause(msgspec.Struct):
    id: str
    event_json: str


class SagaHandlers(msgspec.Struct, frozen=True):
    """Which handlers on a server are sagas: pairs of service and handler."""

    names: frozenset[tuple[str, str]]

    def __contains__(self, row: InvocationRow) -> bool:
        return (row.target_service_name, row.target_handler_name) in self.names

    @property
    def services(self) -> list[str]:
        """The services that have any, sorted."""
        return sorted({service for service, _ in self.names})


def saga_handlers(admin: Admin) -> SagaHandlers:
    """Ask which of the registered handlers are sagas."""
    services = admin.get("/services", _Services).services
    return SagaHandlers(
        frozenset(
            (service.name, handler.name)
            for service in services
            for handler in service.handlers
            if SAGA_MARK in handler.metadata
        )
    )


def invocations(
    admin: Admin,
    services: Sequence[str],
    *,
    newer_than: timedelta | None = None,
    older_than: timedelta | None = None,
    now: datetime,
) -> list[InvocationRow]:
    """The invocations of some services, newest first.

    Args:
        admin: The server.
        services: Their names.
        newer_than: Only those created within this time.
        older_than: Only those created before this time.
        now: What both count from.
    """
    if not services:
        return []
    conditions = [f"target_service_name IN ({_texts(services)})"]
    if newer_than is not None:
        conditions.append(f"created_at >= {_time(now - newer_than)}")
    if older_than is not None:
        conditions.append(f"created_at <= {_time(now - older_than)}")
    where = " AND ".join(conditions)
    sql = f"SELECT {_COLUMNS} FROM sys_invocation WHERE {where} ORDER BY created_at DESC, id"  # noqa: S608
    return admin.query(sql, InvocationRow)


def invocation(admin: Admin, id: str) -> InvocationRow:
    """One invocation.

    Raises:
        BadInput: There is none of this id, or it is no id.
    """
    no_id = f"{id!r} is no invocation id. `resaga list` shows the ids; they begin with inv_."
    if INVOCATION_ID.fullmatch(id) is None:
        raise BadInput(no_id)
    sql = f"SELECT {_COLUMNS} FROM sys_invocation WHERE id = '{id}'"  # noqa: S608
    try:
        rows = admin.query(sql, InvocationRow)
    except QueryRefused as refused:
        if NO_ID in refused.said:
            raise BadInput(no_id) from refused
        raise
    if not rows:
        raise BadInput(
            f"there is no invocation {id} at {admin.address}. Its retention may have passed, or "
            "it was purged; `resaga list` shows those that there are."
        )
    return rows[0]


def invocations_by_id(admin: Admin, ids: Sequence[str]) -> dict[str, InvocationRow]:
    """Those of some invocations that are still there, by id."""
    if not ids:
        return {}
    sql = f"SELECT {_COLUMNS} FROM sys_invocation WHERE id IN ({_texts(ids)})"  # noqa: S608
    return {row.id: row for row in admin.query(sql, InvocationRow)}


def entries_of(admin: Admin, id: str, *, payloads: bool) -> list[EntryRow]:
    """The journal of an invocation, in order.

    Args:
        admin: The server.
        id: The invocation.
        payloads: Whether to ask for all entries whole. Else only results of actions come whole,
            which hold the key and failure of a step beside its output, and failures.
    """
    whole = (
        "entry_json"
        if payloads
        else (
            "CASE WHEN entry_type = 'Notification: Run' OR entry_lite_json LIKE "
            '\'%"result":"Failure"%\' THEN entry_json END'
        )
    )
    return admin.query(
        f"SELECT index, entry_type, appended_at, name, entry_lite_json AS lite, {whole} AS json "  # noqa: S608
        f"FROM sys_journal WHERE id = '{id}' ORDER BY index",
        EntryRow,
    )


def events_of(admin: Admin, id: str) -> list[EventRow]:
    """What happened to an invocation beside its journal: errors of attempts, pauses; in order."""
    return admin.query(
        "SELECT after_journal_entry_index, appended_at, event_type, event_json "  # noqa: S608
        f"FROM sys_journal_events WHERE id = '{id}' ORDER BY appended_at",
        EventRow,
    )


def progress(admin: Admin, services: Sequence[str]) -> dict[str, ProgressRow]:
    """How far each unfinished invocation of some services is, by id."""
    if not services:
        return {}
    is_undo = "starts_with(j.name, 'compensate:')"
    run = "j.entry_type = 'Command: Run'"
    rows = admin.query(
        "SELECT j.id, "  # noqa: S608
        f"SUM(CASE WHEN {run} THEN 1 ELSE 0 END) AS begun, "
        "SUM(CASE WHEN j.entry_type = 'Notification: Run' THEN 1 ELSE 0 END) AS ended, "
        f"CAST(MAX(CASE WHEN {run} AND NOT {is_undo} THEN CAST(j.index AS INT) ELSE -1 END) AS INT)"
        " AS last_step, "
        f"CAST(MAX(CASE WHEN {run} AND {is_undo} THEN CAST(j.index AS INT) ELSE -1 END) AS INT) "
        "AS last_undo, COUNT(*) AS entries "
        "FROM sys_journal j JOIN sys_invocation i ON i.id = j.id "
        f"WHERE i.status <> 'completed' AND i.target_service_name IN ({_texts(services)}) "
        "GROUP BY j.id",
        ProgressRow,
    )
    return {row.id: row for row in rows}


def pauses(admin: Admin, ids: Sequence[str]) -> dict[str, str]:
    """The event that tells why each of some invocations was paused last, as JSON, by id."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), CHUNK):
        rows = admin.query(
            "SELECT id, event_json FROM sys_journal_events "  # noqa: S608
            f"WHERE id IN ({_texts(ids[start : start + CHUNK])}) AND event_type = 'Paused' "
            "ORDER BY appended_at",
            _Pause,
        )
        found.update((row.id, row.event_json) for row in rows)
    return found


def killed_among(admin: Admin, ids: Sequence[str]) -> set[str]:
    """Those of some completed invocations whose code did not end by itself: they were killed."""
    ended: set[str] = set()
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        rows = admin.query(
            f"SELECT id FROM sys_journal WHERE id IN ({_texts(chunk)}) "  # noqa: S608
            "AND entry_type = 'Command: Output'",
            _Id,
        )
        ended.update(row.id for row in rows)
    return set(ids) - ended


def _texts(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _time(at: datetime) -> str:
    return f"TIMESTAMP '{at.isoformat(timespec='milliseconds')}'"
