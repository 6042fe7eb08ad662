"""The settings of sagas as a server has them: asked of its admin API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from resaga.cli.check.sagas import SagaHandler
from resaga.cli.check.settings import Settings
from resaga.cli.inspect.admin import Admin
from resaga.cli.trouble import BadInput

__all__ = ["ServerSettings", "as_duration", "read_settings"]

OLDEST: Final = (1, 7)
"""The oldest server whose settings are known to be told."""

PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h|d|w|mo|y)")
SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "mo": 2_592_000.0,
    "y": 31_536_000.0,
}


class _Policy(msgspec.Struct):
    max_attempts: int | None = None
    on_max_attempts: str | None = None


class _Info(msgspec.Struct):
    message: str


class _Handler(msgspec.Struct):
    name: str
    inactivity_timeout: str | None = None
    abort_timeout: str | None = None
    journal_retention: str | None = None
    idempotency_retention: str | None = None
    retry_policy: _Policy | None = None


class _Service(msgspec.Struct):
    name: str
    ty: str
    handlers: list[_Handler] = []
    inactivity_timeout: str | None = None
    abort_timeout: str | None = None
    journal_retention: str | None = None
    idempotency_retention: str | None = None
    workflow_completion_retention: str | None = None
    retry_policy: _Policy | None = None
    info: list[_Info] = []


class _Services(msgspec.Struct):
    services: list[_Service]


class _Version(msgspec.Struct):
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What a server says of sagas.

    Attributes:
        address: Where its admin API is.
        version: Its version.
        of: The settings of the sagas that it knows, by their names.
        notes: What else is to be told, a line each.
    """

    address: str
    version: str
    of: Mapping[str, Settings]
    notes: Sequence[str]


def read_settings(admin: Admin, sagas: Sequence[SagaHandler]) -> ServerSettings:
    """Ask a server for the settings of sagas.

    Raises:
        BadInput: It does not answer, or is too old.
    """
    version = admin.get("/version", _Version).version
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise BadInput(
            f"the server at {admin.address} is Restate {version}, and this needs {needed} or "
            "newer: upgrade it, or check without --admin."
        )
    services = {each.name: each for each in admin.get("/services", _Services).services}
    known: dict[str, Settings] = {}
    notes: dict[str, None] = {}
    for saga in sagas:
        service = services.get(saga.definition.name)
        if service is None:
            notes[
                f"{saga.definition.name} is not registered at {admin.address}: its settings there "
                "are not known yet"
            ] = None
            continue
        notes.update(
            (f"the server says of {service.name}: {i.message}", None) for i in service.info
        )
        known[saga.name] = _settings(service, saga.handler, admin.address)
    return ServerSettings(address=admin.address, version=version, of=known, notes=list(notes))


def _settings(service: _Service, handler_name: str, address: str) -> Settings:
    handler = next((each for each in service.handlers if each.name == handler_name), None)

    def told(name: str) -> timedelta | None:
        own: str | None = getattr(handler, name, None)
        return as_duration(getattr(service, name) if own is None else own)

    policies = [
        each for each in (getattr(handler, "retry_policy", None), service.retry_policy) if each
    ]
    on_end = next((each.on_max_attempts for each in policies if each.on_max_attempts), None)
    limit = next((each.max_attempts for each in policies if each.max_attempts is not None), None)
    return Settings(
        where=f"the server at {address}",
        inactivity=told("inactivity_timeout"),
        abort=told("abort_timeout"),
        journal=told("journal_retention"),
        idempotency=told("idempotency_retention"),
        workflow=as_duration(service.workflow_completion_retention),
        kills=on_end is not None and on_end.lower() == "kill",
        pauses=service.retry_policy is None or limit is not None,
        kind=service.ty,
    )


def as_duration(text: str | None) -> timedelta | None:
    """A duration as a server writes it, ``1m 30s`` say; ``None`` if it is not known."""
    if text is None:
        return None
    parts = PART.findall(text)
    if not parts or PART.sub("", text).strip():
        return None
    return timedelta(seconds=sum(float(number) * SECONDS[unit] for number, unit in parts))
