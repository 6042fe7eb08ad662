"""Sagas as JSON, for programs. Its fields are part of what the version promises."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from resaga.cli.inspect.advice import advice_of, if_cancelled
from resaga.cli.inspect.model import Entry, Failed, SagaView, Summary

__all__ = ["list_json", "saga_json"]


def list_json(sagas: Sequence[Summary]) -> str:
    """A list of sagas, as one array."""
    encoded = msgspec.json.encode([_summary(saga) for saga in sagas])
    return msgspec.json.format(encoded, indent=1 if len(sagas) <= 100 else 0).decode()


def saga_json(saga: SagaView) -> str:
    """One saga, as one object."""
    return msgspec.json.format(msgspec.json.encode(_saga(saga)), indent=2).decode()


def _summary(saga: Summary) -> dict[str, Any]:
    return {
        "id": saga.id,
        "workflow": saga.workflow,
        "state": saga.state,
        "created_at": _time(saga.created),
        "ended_at": _time(saga.ended),
        "attempts": saga.attempts,
        "next_attempt_at": _time(saga.next_attempt),
        "error": saga.error,
    }


def _saga(saga: SagaView) -> dict[str, Any]:
    told = _summary(saga.summary)
    told |= {
        "is_saga": saga.is_saga,
        "restate_status": saga.status,
        "killed": saga.killed,
        "cancelled_at": _time(saga.cancelled_at),
        "deadline": _time(saga.deadline),
        "has_journal": saga.has_journal,
        "restarted_from": saga.restarted_from,
        "called_by": saga.parent_id,
        "failure": _failed(saga.failure),
        "last_error": _failed(saga.last_error),
        "entries": [_entry(entry) for entry in saga.entries],
        "on_stack": [
            {"step": entry.name, "path": entry.path, "sure": entry.undoable is not None}
            for entry in saga.on_stack
        ],
        "not_undone": [undo.name for undo in saga.not_undone]
        + ([step.name for step in saga.on_stack] if saga.killed else []),
        "if_cancelled": if_cancelled(saga),
        "commands": [
            {"command": advice.command, "effect": advice.effect, "harmful": advice.harmful}
            for advice in advice_of(saga)
        ],
    }
    if saga.payloads:
        told["payloads"] = saga.payloads
    return told


def _entry(entry: Entry) -> dict[str, Any]:
    told: dict[str, Any] = {
        "index": entry.index,
        "kind": entry.kind,
        "name": entry.name,
        "path": entry.path,
        "branch": ".".join(map(str, entry.line)) or None,
        "started_at": _time(entry.started),
        "ended_at": _time(entry.ended),
        "duration_ms": _milliseconds(entry.duration),
        "outcome": entry.outcome,
        "failure": _failed(entry.failure),
        "errors": [_failed(error) for error in entry.errors],
    }
    if entry.within:
        told["within"] = [{"name": nest.name, "path": nest.path} for nest in entry.within]
    if entry.durable:
        told["durable"] = True
    if entry.kind == "step":
        told["has_compensation"] = entry.undoable
    if entry.kind in ("step", "added"):
        told["undone_by"] = None if entry.undone_by is None else entry.undone_by.index
    if entry.until is not None:
        told["until"] = _time(entry.until)
    if entry.child_id is not None:
        told["invocation"] = entry.child_id
    if entry.child is not None:
        told["saga"] = _saga(entry.child)
    if entry.payloads:
        told["payloads"] = entry.payloads
    return told


def _failed(failed: Failed | None) -> dict[str, Any] | None:
    if failed is None:
        return None
    return {"message": failed.message, "code": failed.code, "at": _time(failed.at)}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds")


def _milliseconds(value: timedelta | None) -> int | None:
    return None if value is None else round(value.total_seconds() * 1000)
