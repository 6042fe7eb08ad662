"""Waiting for processes, in tests that start some and see them end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta

__all__ = ["LONG", "eventually", "gone"]

LONG = timedelta(seconds=60)
"""Against a hang only."""


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + LONG.total_seconds()
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether there is no such process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
