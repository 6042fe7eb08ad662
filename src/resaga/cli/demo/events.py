"""How the demo hears, as it happens, what goes on in its workers: JSON lines in a named pipe."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from resaga import SagaEvent, SagaObserver, StepEvent

__all__ = ["Event", "Kind", "LogTeller", "Teller", "WatchingObserver", "listen"]

Kind: TypeAlias = Literal[
    "saga_started",
    "saga_completed",
    "saga_failed",
    "step_started",
    "step_completed",
    "step_failed",
    "compensation_started",
    "compensation_completed",
    "compensation_failed",
    "log",
    "trapped",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened in a worker.

    Attributes:
        kind: What.
        saga_id: In which saga, if it is known.
        step: In which step, if in one.
        text: What the shop logged, or what went wrong.
        retried: Whether an error is one that Restate answers with another attempt.
    """

    kind: Kind
    saga_id: str = ""
    step: str = ""
    text: str = ""
    retried: bool = False


class Teller:
    """A worker's end of the pipe."""

    def __init__(self, pipe: Path) -> None:
        self._fd = os.open(pipe, os.O_WRONLY)

    def tell(self, event: Event) -> None:
        """Write one event, whole: a worker that is killed next has told it all the same."""
        os.write(self._fd, msgspec.json.encode(event) + b"\n")


class WatchingObserver(SagaObserver):
    """Passes on what happens in sagas."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def _tell(self, kind: Kind, event: SagaEvent) -> None:
        step = event if isinstance(event, StepEvent) else None
        self._teller.tell(
            Event(
                kind=kind,
                saga_id=event.saga_id,
                step="" if step is None else step.step,
                text="" if event.error is None else str(event.error),
                retried=step is not None and step.retried,
            )
        )

    def on_saga_started(self, event: SagaEvent) -> None:
        """Pass it on."""
        self._tell("saga_started", event)

    def on_saga_completed(self, event: SagaEvent) -> None:
        """Pass it on."""
        self._tell("saga_completed", event)

    def on_saga_failed(self, event: SagaEvent) -> None:
        """Pass it on."""
        self._tell("saga_failed", event)

    def on_step_started(self, event: StepEvent) -> None:
        """Pass it on."""
        self._tell("step_started", event)

    def on_step_completed(self, event: StepEvent) -> None:
        """Pass it on."""
        self._tell("step_completed", event)

    def on_step_failed(self, event: StepEvent) -> None:
        """Pass it on."""
        self._tell("step_failed", event)

    def on_compensation_started(self, event: StepEvent) -> None:
        """Pass it on."""
        self._tell("compensation_started", event)

    def on_compensation_completed(self, event: StepEvent) -> None:
        """Pass it on."""
        self._tell("compensation_completed", event)

    def on_compensation_failed(self, event: StepEvent) -> None:
        """Pass it on."""
        self._tell("compensation_failed", event)


class LogTeller(logging.Handler):
    """Passes on what the shop logs."""

    def __init__(self, teller: Teller) -> None:
        super().__init__()
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on."""
        self._teller.tell(Event(kind="log", text=record.getMessage()))


@asynccontextmanager
async def listen(pipe: Path) -> AsyncGenerator[asyncio.Queue[Event]]:
    """Make the pipe, and give a queue of what workers tell through it."""
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    # A writing end of our own: without one, the pipe would end with the first worker.
    writing = os.open(pipe, os.O_WRONLY)
    events: asyncio.Queue[Event] = asyncio.Queue()
    reader = asyncio.StreamReader()

    async def pump() -> None:
        while line := await reader.readline():
            events.put_nowait(msgspec.json.decode(line, type=Event))

    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
    )
    pumping = asyncio.create_task(pump())
    try:
        yield events
    finally:
        pumping.cancel()
        transport.close()
        os.close(writing)
