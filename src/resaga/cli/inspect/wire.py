"""Entries and events of a journal as the server writes them, in JSON, and what is in them."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec

from resaga.record import About

__all__ = [
    "Body",
    "Result",
    "StepRecord",
    "body_of",
    "event_error",
    "input_of",
    "is_json",
    "record_of",
    "result_of",
    "text_of",
]

KEY: Final = re.compile(r"inv_[0-9A-Za-z]+\.([0-9]+(?:\.[0-9]+)*)(\.undo)?")
"""An idempotency key: whose it is, the path of the call, and whether of its compensation."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a command says, in whichever form of the entry.

    Attributes:
        kind: ``Run``, ``Sleep``, ``Call``, …
        name: Its name, if it was given one.
        key: Of which state or promise it is.
        completion: Under which number its result comes, if one does.
        target: What it calls, as ``Service/handler`` or ``Service/key/handler``.
        child_id: The invocation that it begins or attaches to.
        wake_up: When a sleep ends, in milliseconds since 1970.
    """

    kind: str
    name: str = ""
    key: str = ""
    completion: int | None = None
    target: str | None = None
    child_id: str | None = None
    wake_up: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification says.

    Attributes:
        kind: Of which kind of command; ``Signal`` for a signal, a cancel say.
        completion: Whose result it is.
        value: The bytes of the value, where they were asked for.
        code: Status code of the failure, if it is one.
        message: Its message.
    """

    kind: str
    completion: int | None = None
    signal: int | None = None
    value: bytes | None = None
    code: int | None = None
    message: str | None = None
    metadata: dict[str, str] = {}

    @property
    def failed(self) -> bool:
        """Whether it is a failure."""
        return self.message is not None


class StepFailure(msgspec.Struct, frozen=True):
    """How a step failed by its own word."""

    message: str
    code: int = 500
    metadata: dict[str, str] = {}


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a step has left, see `resaga.record`; payloads only where they were asked for."""

    key: str
    failure: StepFailure | None = None
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    about: About = About()

    @property
    def path(self) -> str | None:
        """Which call of a step it is."""
        match = KEY.fullmatch(self.key)
        return None if match is None else match[1]

    def payloads(self) -> dict[str, object]:
        """Output and data, as something to show."""
        fields = (("output", self.output), ("data", self.data))
        return {
            name: text_of(field)
            for name, field in fields
            if not isinstance(field, msgspec.UnsetType)
        }


_record = msgspec.json.Decoder(StepRecord)


def body_of(lite: str) -> Body | None:
    """Read a command; ``None`` if it is none."""
    entry = cast("dict[str, Any]", msgspec.json.decode(lite))
    command = entry.get("Command")
    if command is None:
        return None
    kind, fields = _tagged(command)
    return Body(
        kind=kind,
        name=fields.get("name") or "",
        key=fields.get("key") or "",
        completion=fields.get("result_completion_id", fields.get("completion_id")),
        target=_target(fields.get("invocation_target")),
        child_id=fields.get("invocation_id") or _attached(fields.get("target")),
        wake_up=fields.get("wake_up_time"),
    )


def result_of(lite: str, whole: str | None) -> Result | None:
    """Read a notification, or the end of an invocation; ``None`` if it is neither."""
    entry = cast("dict[str, Any]", msgspec.json.decode(whole or lite))
    if "Command" in entry:
        kind, fields = _tagged(entry["Command"])
        return _with_result(kind, None, fields.get("result")) if kind == "Output" else None
    notification = entry["Notification"]
    if whole is None:
        outer, kind = _tagged(notification["ty"])
        given = notification["id"]
        return Result(
            kind=kind if outer == "Completion" else outer,
            completion=given.get("CompletionId"),
            signal=given.get("SignalIndex"),
        )
    outer, body = _tagged(notification)
    if outer == "Signal":
        number = body["id"].get("Index") if isinstance(body["id"], dict) else None
        return Result(kind="Signal", signal=number)
    kind, fields = _tagged(body)
    return _with_result(kind, fields.get("completion_id"), fields.get("result"))


def record_of(value: bytes) -> StepRecord | None:
    """Read what a step has left; ``None`` if these bytes are something else, encrypted say."""
    try:
        record = _record.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return record if KEY.fullmatch(record.key) else None


def event_error(event_json: str) -> tuple[str, int | None, int | None] | None:
    """Message, code and command index of an event that tells of an error."""
    event = cast("dict[str, Any]", msgspec.json.decode(event_json))
    event = event.get("last_failure") or event
    if "error_message" not in event:
        return None
    return event["error_message"], event.get("error_code"), event.get("related_command_index")


def text_of(value: bytes | msgspec.Raw) -> object:
    """A payload as something to show: the JSON it is, else text, else how many bytes it has."""
    raw = bytes(value)
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"<{len(raw)} bytes that are no JSON>"


def is_json(value: bytes) -> bool:
    """Whether these bytes are JSON; encrypted ones are not."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def input_of(whole: str) -> bytes:
    """The payload that an invocation began with."""
    entry = cast("dict[str, Any]", msgspec.json.decode(whole))
    return bytes(entry["Command"]["Input"]["payload"])


def _with_result(kind: str, completion: int | None, result: object) -> Result:
    if isinstance(result, dict):
        tag, value = _tagged(cast("dict[str, Any]", result))
        if tag == "Failure":
            return Result(
                kind=kind,
                completion=completion,
                code=value["code"],
                message=value["message"],
                metadata={pair["key"]: pair["value"] for pair in value.get("metadata") or ()},
            )
        if isinstance(value, list):
            return Result(kind=kind, completion=completion, value=bytes(cast("list[int]", value)))
    return Result(kind=kind, completion=completion)


def _tagged(value: dict[str, Any] | str) -> tuple[str, Any]:
    if isinstance(value, str):
        return value, {}
    return next(iter(value.items()))


def _target(target: dict[str, Any] | None) -> str | None:
    if target is None:
        return None
    _, fields = _tagged(target)
    parts = [fields.get("name"), fields.get("key"), fields.get("handler")]
    return "/".join(part for part in parts if part)


def _attached(target: object) -> str | None:
    if not isinstance(target, dict):
        return None
    value = cast("dict[str, Any]", target).get("InvocationId")
    return value if isinstance(value, str) else None
