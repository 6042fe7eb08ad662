"""What a worker remembers of the events it was told, for observers that need two of them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from resaga.observe import SagaEvent

__all__ = ["Open", "Recall"]

LIMIT = 10_000
"""How much is remembered at a time; what is older is forgotten, and then told as unknown."""

MAX_FAILURES = 32


@dataclass(slots=True)
class Open:
    """Something that has begun and not ended.

    Attributes:
        started: When it began, as far as this worker knows, in nanoseconds since 1970.
        attempts: How often it was begun on this worker.
        failures: The attempts that failed and are retried: when, and the class of the error.
    """

    started: int = field(default_factory=time.time_ns)
    attempts: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def not_after(self, when: datetime | None) -> None:
        """It began by then, perhaps on another worker."""
        if when is not None:
            self.started = min(self.started, int(when.timestamp() * 1000) * 1_000_000)

    def failed(self, error: BaseException | None) -> None:
        """Note an attempt that failed and is retried."""
        if len(self.failures) < MAX_FAILURES:
            self.failures.append((time.time_ns(), type(error).__name__))


class Recall:
    """Begins by key, and which ends were told already; both bounded, for all threads.

    An event is told at least once (R25): durable code and a saga have no entry of their own for
    their end, so that a replay may tell it again. By their ids repeats are told on this worker.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, Open] = OrderedDict()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, key: str) -> Open:
        """What is open under a key; it begins now if nothing is."""
        with self._lock:
            entry = self._open.setdefault(key, Open())
            self._open.move_to_end(key)
            if len(self._open) > LIMIT:
                self._open.popitem(last=False)
            return entry

    def end(self, key: str) -> Open | None:
        """Forget what is open under a key, and give it; ``None`` if this worker knows nothing."""
        with self._lock:
            return self._open.pop(key, None)

    def first(self, event: SagaEvent) -> bool:
        """Whether this very event was not told here before."""
        with self._lock:
            if event.event_id in self._told:
                return False
            self._told[event.event_id] = None
            if len(self._told) > LIMIT:
                self._told.popitem(last=False)
            return True
