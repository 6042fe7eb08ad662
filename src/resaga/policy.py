"""Frozen options: how often an action or a compensation is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from restate import InvocationRetryPolicy

from resaga.errors import MisuseError

__all__ = [
    "DEFAULT_MAX_RESULT_SIZE",
    "Retry",
    "check_result_size",
    "check_retry",
    "positive",
    "saga_retry_policy",
]

DEFAULT_MAX_RESULT_SIZE = 8 * 1024 * 1024
"""Bytes that one step may leave in the journal (R15)."""

LARGEST_RESULT_SIZE = 32 * 1024 * 1024
"""The server refuses messages that are a little larger than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How Restate tries an action or a compensation again after an ordinary error.

    With every field at ``None``, Restate's own policy holds: it is retried until it works, or
    until the invocation is paused for an operator (R11). With a bound, an action that still
    fails ends its step as ``unknown``: its effect may or may not have happened (R12).

    Attributes:
        max_attempts: Attempts in all, the first included. ``None``: no bound.
        initial_interval: Wait before the second attempt. ``None``: Restate's default.
        factor: Each wait is the one before times this. ``None``: Restate's default.
        max_interval: Longest wait between two attempts. ``None``: Restate's default.
        max_duration: No further attempt once this much time has passed since the first.
            ``None``: no bound.

    Example:
        >>> Retry(max_attempts=5, initial_interval=timedelta(milliseconds=200)).bounded
        True
    """

    max_attempts: int | None = None
    initial_interval: timedelta | None = None
    factor: float | None = None
    max_interval: timedelta | None = None
    max_duration: timedelta | None = None

    def __post_init__(self) -> None:
        _check_number("max_attempts", self.max_attempts, int)
        _check_number("factor", self.factor, (int, float))
        if self.max_attempts is not None and self.max_attempts < 1:
            raise MisuseError(
                f"Retry(max_attempts={self.max_attempts}): at least the first attempt has to be "
                "made. Give 1 or more, or None for no bound."
            )
        if self.factor is not None and self.factor < 1:
            raise MisuseError(
                f"Retry(factor={self.factor}): waits that get shorter are not supported by "
                "Restate. Give 1.0 or more."
            )
        for field in ("initial_interval", "max_interval", "max_duration"):
            positive(getattr(self, field), f"Retry({field}=...)")

    @property
    def bounded(self) -> bool:
        """Whether the attempts come to an end."""
        return self.max_attempts is not None or self.max_duration is not None


def _check_number(field: str, value: object, kind: type | tuple[type, ...]) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
        raise MisuseError(f"Retry({field}={value!r}): give a number, or None.")


def check_retry(retry: object, what: str) -> None:
    """Refuse what is no `Retry` (R21)."""
    if retry is not None and not isinstance(retry, Retry):
        raise MisuseError(f"{what} is {retry!r}. Give a resaga.Retry(...), or leave it out.")


def check_result_size(size: object, what: str) -> None:
    """Refuse a limit that nothing keeps, or that the server's own is below (R15, R21)."""
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_RESULT_SIZE:
        raise MisuseError(
            f"{what} is {size!r}. Give a number of bytes from 1 to {LARGEST_RESULT_SIZE:,}: the "
            "server refuses larger entries, and the step would be tried again for ever."
        )


def positive(duration: timedelta | None, what: str) -> None:
    """Refuse a duration that is zero, negative, or no `timedelta` (R21)."""
    if duration is None:
        return
    if not isinstance(duration, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(f"{what} is {duration!r}. Give a datetime.timedelta.")
    if duration <= timedelta():
        raise MisuseError(f"{what} is {duration}. Give a duration above zero, or leave it out.")


def saga_retry_policy(policy: InvocationRetryPolicy | None, *, where: str) -> InvocationRetryPolicy:
    """The invocation retry policy a saga is registered with: it pauses, it never kills (R21).

    A killed invocation is not rolled back (R11), so Restate is always asked to pause one whose
    attempts run out, whatever the server's default is.
    """
    if policy is None:
        return InvocationRetryPolicy(on_max_attempts="pause")
    if policy.on_max_attempts == "kill":
        raise MisuseError(
            f"{where}: retry_policy has on_max_attempts='kill', and a killed saga is never rolled "
            "back. Use on_max_attempts='pause' (or leave it out): the saga then waits for an "
            "operator, and resuming it goes on where it stood."
        )
    return InvocationRetryPolicy(
        initial_interval=policy.initial_interval,
        exponentiation_factor=policy.exponentiation_factor,
        max_interval=policy.max_interval,
        max_attempts=policy.max_attempts,
        on_max_attempts="pause",
    )
