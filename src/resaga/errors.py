"""The exceptions of resaga.

::

    Exception
    ├── restate.TerminalError            ends a saga: it rolls back (R1)
    │   ├── RollbackIncomplete           it rolled back; some compensations failed for good (R10)
    │   └── Interruption                 its forward part ends early, and that sticks (R5)
    │       ├── SagaCancelled            it was cancelled through Restate
    │       ├── DeadlineExceeded         its deadline passed (R20)
    │       └── BranchAbandoned          a branch beside this one failed (R17)
    └── ResagaError                      ordinary: Restate retries the attempt (R4)
        ├── MisuseError                  resaga is used in a way that cannot work (R21)
        │   └── UnsupportedTypeError     a type that JSON cannot carry there and back (R16)
        ├── CodecError                   a value and its declared type do not fit (R15, R22)
        ├── ProviderError                services could not be built or closed (R28)
        ├── ActionExit                   an action raised what is no Exception, SystemExit say (R4)
        └── StepTimeout                  an attempt of an action took too long
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from restate import TerminalError

__all__ = [
    "ActionExit",
    "BranchAbandoned",
    "CodecError",
    "CompensationFailure",
    "DeadlineExceeded",
    "Interruption",
    "MisuseError",
    "ProviderError",
    "ResagaError",
    "RollbackIncomplete",
    "SagaCancelled",
    "StepTimeout",
    "UnsupportedTypeError",
]

ROLLBACK_KEY = "resaga.rollback"
"""Metadata key of a `RollbackIncomplete`; its value is ``incomplete``."""

FAILED_KEY = "resaga.failed"
"""Metadata key that lists, as JSON, the names of the compensations that failed for good."""

_LEFT = " (rollback incomplete, not undone: "
"""What stands in a `RollbackIncomplete`'s message between the original one and what is left."""


class ResagaError(Exception):
    """Base of resaga's ordinary errors: Restate retries the attempt that raises one (R4)."""


class MisuseError(ResagaError):
    """resaga is used in a way that cannot work (R21).

    The message names the step, the saga and the mend. Where that is possible it is raised when
    things are defined; inside a saga it fails the attempt, and Restate retries until the code
    is mended. Nothing is rolled back.
    """


class UnsupportedTypeError(MisuseError):
    """A type that JSON cannot carry there and back as the same type (R16)."""


class CodecError(ResagaError):
    """A value does not fit its declared type, or bytes do not decode to it (R15, R22).

    The message is made of paths and kinds, never of values, so it is safe to log (R24).
    """


class ProviderError(ResagaError):
    """A provider of services failed after the saga had begun, or closing its scope did (R28)."""


class ActionExit(ResagaError):
    """An action or compensation raised a `BaseException` that is not the attempt's own end (R4).

    ``SystemExit`` would take the worker down, and a ``CancelledError`` of the action's own
    making would leave the invocation hanging; as an ordinary error it is retried.
    """


class StepTimeout(ResagaError, TimeoutError):
    """One attempt of an action took longer than the step's ``timeout``; it is retried (R4)."""


class Interruption(TerminalError):
    """Ends a forward part early; it sticks: every later durable wait raises it again (R5)."""

    code = 409

    def __init__(self, message: str) -> None:
        super().__init__(message, self.code)


class SagaCancelled(Interruption):
    """The saga was cancelled through Restate; it rolls back with this error (R5)."""

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)


class DeadlineExceeded(Interruption):
    """The saga's deadline passed before its forward part was done (R20)."""

    code = 408


class BranchAbandoned(Interruption):
    """A branch beside this one failed for good, so this one starts nothing new (R17)."""


@dataclass(frozen=True, slots=True)
class CompensationFailure:
    """One compensation that failed for good.

    Attributes:
        name: The step's name.
        message: What the compensation's terminal error said.
        status_code: Its status code.
    """

    name: str
    message: str
    status_code: int = 500


class RollbackIncomplete(TerminalError):
    """A saga rolled back, and some of its compensations failed for good (R10).

    All compensations were tried (R9). Its message is the original error's, followed by what is
    left undone; its status code is the original's. It crosses services and the ingress as
    metadata (``resaga.rollback=incomplete``), by which resaga's clients raise it again.

    Attributes:
        original: The terminal error that made the saga roll back.
        failures: The compensations that failed for good, in the order they were tried.
    """

    def __init__(self, original: TerminalError, failures: Sequence[CompensationFailure]) -> None:
        self.original = original
        self.failures: tuple[CompensationFailure, ...] = tuple(failures)
        left = "; ".join(f"{f.name}: {f.message}" for f in self.failures)
        metadata: dict[str, str] = dict(original.metadata or {})
        metadata[ROLLBACK_KEY] = "incomplete"
        metadata[FAILED_KEY] = json.dumps([f.name for f in self.failures])
        super().__init__(
            f"{original.message}{_LEFT}{left})",
            original.status_code,
            metadata,
        )


def is_rollback_incomplete(metadata: Mapping[str, str] | None) -> bool:
    """Whether a terminal error's metadata says that it was a `RollbackIncomplete`."""
    return metadata is not None and metadata.get(ROLLBACK_KEY) == "incomplete"


def received(error: TerminalError) -> TerminalError:
    """A terminal error that crossed a service or the ingress, as what it was there (R10).

    The class does not cross, but the metadata of a `RollbackIncomplete` tells it. Of its parts
    the names of what failed come from there, the rest from how its message is built; where that
    does not tell, the original has the whole message.
    """
    metadata = error.metadata or {}
    if isinstance(error, RollbackIncomplete) or not is_rollback_incomplete(metadata):
        return error
    message, failures = _taken_apart(error.message, _names(metadata.get(FAILED_KEY, "")))
    rest = {k: v for k, v in metadata.items() if k not in (ROLLBACK_KEY, FAILED_KEY)}
    original = TerminalError(message, error.status_code, rest or None)
    incomplete = RollbackIncomplete(original, failures)
    # As it was received, to the letter.
    TerminalError.__init__(incomplete, error.message, error.status_code, metadata)
    return incomplete


def _names(text: str) -> list[str]:
    try:
        names: object = json.loads(text)
    except ValueError:
        return []
    return [str(name) for name in cast("list[object]", names)] if isinstance(names, list) else []


def _taken_apart(message: str, names: Sequence[str]) -> tuple[str, list[CompensationFailure]]:
    original, found, left = message.rpartition(_LEFT)
    untold = [CompensationFailure(name, "") for name in names]
    if not found or not left.endswith(")"):
        return message, untold
    if not names:
        return original, untold
    parts: list[CompensationFailure] = []
    rest = left[:-1]
    for name, following in zip(names, [*names[1:], None], strict=True):
        if not rest.startswith(f"{name}: "):
            return original, untold
        rest = rest[len(name) + 2 :]
        said, _, after = (rest, "", "") if following is None else rest.partition(f"; {following}: ")
        parts.append(CompensationFailure(name, said))
        rest = f"{following}: {after}"
    return original, parts
