"""Retries of actions without a server: how long each is waited for, and when they end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FACTOR", "INITIAL_INTERVAL", "Retries", "Tries"]

INITIAL_INTERVAL = 50.0
"""Milliseconds before the second attempt, as Restate has it."""

FACTOR = 2.0
"""By what each wait grows, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How an action is retried; ``None`` stands for no limit.

    Attributes:
        initial: Milliseconds before the second attempt.
        factor: By what each wait grows.
        max_interval: The longest wait, in milliseconds.
        max_attempts: How many attempts there are in all.
        max_duration: For how many milliseconds it is tried.
    """

    initial: float = INITIAL_INTERVAL
    factor: float = FACTOR
    max_interval: float | None = None
    max_attempts: int | None = None
    max_duration: float | None = None


@dataclass(slots=True)
class Tries:
    """What one action has behind it.

    Attributes:
        failed: How many attempts have failed.
        waited: How many milliseconds were waited between them.
    """

    failed: int = 0
    waited: float = 0.0

    def fail(self, retries: Retries) -> float | None:
        """Another attempt has failed.

        Returns:
            The milliseconds until the next one, or ``None`` if there is none.
        """
        interval = retries.initial * retries.factor**self.failed
        if retries.max_interval is not None:
            interval = min(interval, retries.max_interval)
        self.failed += 1
        self.waited += interval
        if retries.max_attempts is not None and self.failed >= retries.max_attempts:
            return None
        if retries.max_duration is not None and self.waited >= retries.max_duration:
            return None
        return interval
